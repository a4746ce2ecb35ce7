"""Load generators on the lab's client: wrk, h2load and ab."""

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.lab import Lab
from harness.process import Process, run

# Prints what wrk measured as one line of JSON. Times are microseconds.
WRK_REPORT = """
done = function(summary, latency)
  local e = summary.errors
  print(string.format('{"requests":%d,"bytes":%d,"seconds":%.6f,"p50":%d,"p99":%d,' ..
    '"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}', summary.requests, summary.bytes,
    summary.duration / 1e6, latency:percentile(50), latency:percentile(99), e.connect, e.read,
    e.write, e.timeout, e.status))
end
"""


@dataclass
class WrkReport:
    requests: int
    bytes: int
    seconds: float
    p50: int  # µs
    p99: int
    errors: dict  # by kind, those that happened

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def gigabytes_per_second(self) -> float:
        return self.bytes / self.seconds / 1e9


def wrk_command(url: str, seconds: float, script: Path, connections: int = 64,
                close: bool = False) -> list:
    """close: each request on a connection of its own."""
    header = ["-H", "Connection: close"] if close else []
    return ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s", "-s", script,
            *header, url]


def read_wrk(output: str) -> WrkReport:
    values = json.loads(next(line for line in output.splitlines() if line.startswith("{")))
    kinds = ("connect", "read", "write", "timeout", "status")
    errors = {kind: values.pop(kind) for kind in kinds}
    return WrkReport(**values, errors={kind: n for kind, n in errors.items() if n})


def wrk(lab: Lab, url: str, seconds: int = 2, before=(), **options) -> WrkReport:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(WRK_REPORT)
        script.flush()
        done = lab.run("client", [*before, *wrk_command(url, seconds, Path(script.name), **options)],
                       timeout=seconds + 30)
    return read_wrk(done.stdout)


class BackgroundWrk:
    """wrk while something else happens."""

    def __init__(self, lab: Lab, scratch: Path, url: str, seconds: int, **options):
        script = scratch / "report.lua"
        script.write_text(WRK_REPORT)
        self.process: Process = lab.start(
            "client", wrk_command(url, seconds, script, **options), scratch / "wrk.log")

    def report(self, timeout: float = 60) -> WrkReport:
        assert self.process.wait(timeout) == 0, self.process.output
        return read_wrk(self.process.output)


def h2load_failures(lab: Lab, url: str, requests: int, clients: int) -> dict[str, int]:
    """HTTP/1.1 by h2load: requests by what became of them."""
    output = lab.run("client", ["h2load", "--h1", "-n", requests, "-c", clients, url]).stdout
    line = re.search(r"^requests: (.*)$", output, re.MULTILINE)[1]
    return {what: int(n) for n, what in re.findall(r"(\d+) (\w+)", line)}


def ab_failures(lab: Lab, url: str, requests: int, clients: int, *options) -> dict[str, int]:
    """ab speaks HTTP/1.0; -k asks for keep-alive."""
    output = lab.run("client", ["ab", "-q", "-n", requests, "-c", clients, *options, url]).stdout
    count = lambda what: int(m[1]) if (m := re.search(rf"^{what}: +(\d+)", output, re.M)) else 0
    return {"complete": count("Complete requests"), "failed": count("Failed requests"),
            "write": count("Write errors"), "status": count("Non-2xx responses")}


def have(program: str) -> bool:
    return run(["sh", "-c", f"command -v {program}"], check=False).returncode == 0
