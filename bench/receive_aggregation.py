#!/usr/bin/python3
"""What aggregation in front of the host stack saves: the same bulk of packets of 1500 bytes into the
discard service, with `aggregate on` and `off`, in turns.

    bench/receive_aggregation.py [--binaries build/release] [--repetitions 5] [--size MIB]

A lab without offloads: what arrives is what a wire would carry. CPU is what the daemon's process
used, in its own code and in the kernel's (receiving), per MiB received.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE / "lab"))

# pylint: disable=wrong-import-position
from harness.client import Client
from harness.lab import Lab
from harness.machine import print_machine
from harness.servers import DISCARD, FairleadServer

SERVER_PROCESSOR, CLIENT_PROCESSOR = 0, 1
MIB = 1 << 20


def cpu_seconds(pid: int) -> tuple[float, float]:
    """In user space and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / ticks, int(fields[12]) / ticks


def measure(lab: Lab, options, scratch: Path, aggregate: str) -> dict:
    client = Client(lab, options.binaries, ["taskset", "-c", CLIENT_PROCESSOR])
    server = FairleadServer(lab, options.binaries, scratch, ["taskset", "-c", SERVER_PROCESSOR],
                            interface=f"aggregate {aggregate}")
    try:
        before = cpu_seconds(server.process.popen.pid)
        report = client.run("upload", "ipv4", DISCARD, "--bytes", options.size * MIB, "--no-verify",
                            timeout=120)
        after = cpu_seconds(server.process.popen.pid)
        assert report["failures"] == {}, report
        own, kernel = (1e6 * (b - a) / options.size for a, b in zip(before, after))
        port = server.show_json("stats")["ports"][0]
        counters = port.get("aggregate", {})
        return {"own": own, "both": own + kernel, "rate": report["gigabytes_per_second"],
                "ratio": counters.get("packets_in", 1) / counters.get("packets_out", 1)}
    finally:
        server.stop()


def print_table(results: dict[str, list[dict]]) -> None:
    median = {way: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
              for way, runs in results.items()}
    on, off = median["on"], median["off"]
    print("| | on ÷ off | on | off |\n| --- | --- | --- | --- |")
    for key, title, unit in (("own", "CPU per MiB, the daemon's own code", "µs"),
                             ("both", "CPU per MiB, with the kernel's", "µs"),
                             ("rate", "received", "GB/s"),
                             ("ratio", "packets received per packet the stack sees", "")):
        print(f"| {title} | **{on[key] / off[key]:.2f}** | {on[key]:.2f} {unit} | "
              f"{off[key]:.2f} {unit} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=Path, default=SOURCE / "build/release")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--size", type=int, default=1024, help="MiB a repetition")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("receive_aggregation.py: needs root: it makes network namespaces", file=sys.stderr)
        return 1
    print_machine()
    lab = Lab("bench", "off")
    results: dict[str, list[dict]] = {"on": [], "off": []}
    try:
        for _ in range(options.repetitions):
            for way, runs in results.items():
                with tempfile.TemporaryDirectory() as scratch:
                    runs.append(measure(lab, options, Path(scratch), way))
    finally:
        lab.down()
    print_table(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
