"""The servers a test talks to, on the same ports: the reference on kernel sockets, and Fairlead.

A test that passes against the first and fails against the second has found a fault of Fairlead's.
"""

import json
import signal
from pathlib import Path

from harness.lab import FAIRLEAD_ADDRESS, Lab
from harness.process import Process, run

ECHO, DISCARD, CHARGEN, NGINX = 7, 9, 19, 8080
MODES = {ECHO: "echo", DISCARD: "discard", CHARGEN: "chargen"}


class KernelServer:
    """The ports may be moved, to stand beside Fairlead's; before: words that run the command.

    limit: bytes after which the echo server closes."""

    def __init__(self, lab: Lab, binaries: Path, scratch: Path, add_to_ports: int = 0, before=(),
                 limit: int | None = None):
        services = ["--limit", limit] if limit else []
        for address in FAIRLEAD_ADDRESS.values():
            for port, mode in MODES.items():
                services += [f"--{mode}", address, port + add_to_ports]
        self.process = lab.start(
            "fairlead", [*before, binaries / "lab/peers/kernel_echo", *services],
            scratch / "kernel_echo.log")
        self.process.wait_for("^ready$")

    def stop(self) -> None:
        self.process.stop()


class Fairlead:
    """`fairlead run` with a configuration, to which the control socket is added.

    before: words that run it."""

    def __init__(self, lab: Lab, binaries: Path, scratch: Path, config: str, before=()):
        self.lab = lab
        self.binary = binaries / "src/app/fairlead"
        self.before = before
        self.scratch = scratch
        self.control_socket = scratch / "control.sock"
        self.config = scratch / "fairlead.conf"
        self.configure(config)
        self.process: Process | None = None
        self.start()

    def configure(self, config: str) -> None:
        """Writes the file, and no more."""
        self.config.write_text(f"control_socket {self.control_socket}\n{config}")

    def start(self) -> None:
        self.process = self.lab.start(
            "fairlead", [*self.before, self.binary, "run", "-c", self.config],
            self.scratch / "fairlead.log")
        self.process.wait_for("ready$")

    def stop(self, number: int = signal.SIGTERM) -> int:
        return self.process.stop(number)

    def ask(self, *command: str, check: bool = True):
        """A command for the running daemon: "show", "stats" ..."""
        return run([self.binary, *command, "-s", self.control_socket], check=check)

    def show(self, *what: str) -> str:
        return self.ask("show", *what).stdout

    def show_json(self, *what: str) -> dict:
        return json.loads(self.show(*what, "--json"))


class FairleadServer(Fairlead):
    """With echo services.

    more: lines of configuration, interface: what stands in its block; limit: as of the other."""

    def __init__(self, lab: Lab, binaries: Path, scratch: Path, before=(), more: str = "",
                 interface: str = "", limit: int | None = None):
        lines = [f"interface fairlead {{ {interface} }}"]
        blocks = {mode: f"{{ {mode} }}" for mode in MODES.values()}
        blocks["echo"] = f"{{ limit {limit} }}" if limit else ""
        for address in FAIRLEAD_ADDRESS.values():
            for port, mode in MODES.items():
                lines.append(f"echo_server {address} {port} {blocks[mode]}")
        super().__init__(lab, binaries, scratch, "\n".join(lines) + "\n" + more, before)


class Nginx:
    """A kernel server on the same addresses and another port; /file is a megabyte."""

    def __init__(self, lab: Lab, scratch: Path):
        root = scratch / "nginx"
        root.mkdir()
        self.file = root / "file"
        self.file.write_bytes(bytes(range(256)) * 4096)
        listen = "".join(f"listen {address}:{NGINX};\n"
                         for address in (FAIRLEAD_ADDRESS["ipv4"], f"[{FAIRLEAD_ADDRESS['ipv6']}]"))
        self.process = start_nginx(lab, "fairlead", root, f"server {{ root {root};\n{listen} }}")

    @staticmethod
    def url(family: str) -> str:
        address = FAIRLEAD_ADDRESS[family]
        host = address if family == "ipv4" else f"[{address}]"
        return f"http://{host}:{NGINX}/file"

    def stop(self) -> None:
        self.process.stop()


def start_nginx(lab: Lab, host: str, root: Path, http: str, before=()) -> Process:
    """nginx with one worker and nothing outside `root`; up when this returns. http: what stands in
    that block of its configuration."""
    temporary = "".join(
        f"{kind}_temp_path {root}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (root / "nginx.conf").write_text(
        f"user root; daemon off; master_process off; pid {root}/pid; error_log stderr;\n"
        f"events {{ worker_connections 12288; }}\nhttp {{ access_log off;\n{temporary}{http}\n}}\n")
    process = lab.start(
        host, [*before, "nginx", "-c", root / "nginx.conf", "-p", root], root / "nginx.log")
    process.wait_until((root / "pid").exists)  # written when it listens
    return process
