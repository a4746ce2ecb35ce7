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
    """The ports may be moved, to stand beside Fairlead's; before: words that run the command."""

    def __init__(self, lab: Lab, binaries: Path, scratch: Path, add_to_ports: int = 0, before=()):
        services = []
        for address in FAIRLEAD_ADDRESS.values():
            for port, mode in MODES.items():
                services += [f"--{mode}", address, port + add_to_ports]
        self.process = lab.start(
            "fairlead", [*before, binaries / "lab/peers/kernel_echo", *services],
            scratch / "kernel_echo.log")
        self.process.wait_for("^ready$")

    def stop(self) -> None:
        self.process.stop()


class FairleadServer:
    """`fairlead run`, with a configuration of its own.

    more: lines of configuration, interface: what stands in its block, before: words that run it."""

    def __init__(self, lab: Lab, binaries: Path, scratch: Path, before=(), more: str = "",
                 interface: str = ""):
        self.lab = lab
        self.binary = binaries / "src/app/fairlead"
        self.before = before
        self.scratch = scratch
        self.control_socket = scratch / "control.sock"
        self.config = scratch / "fairlead.conf"
        self.config.write_text(self.default_config(interface) + more)
        self.process: Process | None = None
        self.start()

    def default_config(self, interface: str) -> str:
        lines = [f"interface fairlead {{ {interface} }}", f"control_socket {self.control_socket}"]
        for address in FAIRLEAD_ADDRESS.values():
            for port, mode in MODES.items():
                block = "" if mode == "echo" else f" {{ {mode} }}"
                lines.append(f"echo_server {address} {port}{block}")
        return "\n".join(lines) + "\n"

    def start(self) -> None:
        self.process = self.lab.start(
            "fairlead", [*self.before, self.binary, "run", "-c", self.config],
            self.scratch / "fairlead.log")
        self.process.wait_for("ready$")

    def stop(self, number: int = signal.SIGTERM) -> int:
        return self.process.stop(number)

    def show(self, *what: str) -> str:
        return run([self.binary, "show", *what, "-s", self.control_socket]).stdout

    def show_json(self, *what: str) -> dict:
        return json.loads(self.show(*what, "--json"))


class Nginx:
    """A kernel server on the same addresses and another port; /file is a megabyte."""

    def __init__(self, lab: Lab, scratch: Path):
        root = scratch / "nginx"
        root.mkdir()
        self.file = root / "file"
        self.file.write_bytes(bytes(range(256)) * 4096)
        temporary = "".join(
            f"{kind}_temp_path {root}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (root / "nginx.conf").write_text(
            f"user root; daemon off; master_process off; pid {root}/pid; error_log stderr;\n"
            f"events {{ }}\nhttp {{ access_log off;\n{temporary}server {{ root {root};\n"
            + "".join(f"listen {address}:{NGINX};\n"
                      for address in (FAIRLEAD_ADDRESS["ipv4"], f"[{FAIRLEAD_ADDRESS['ipv6']}]"))
            + "} }\n")
        self.process = lab.start(
            "fairlead", ["nginx", "-c", root / "nginx.conf", "-p", root], scratch / "nginx.log")
        self.wait_until_up(lab)

    def wait_until_up(self, lab: Lab) -> None:
        lab.run("client", ["curl", "-sf", "--retry-connrefused", "--retry", "20", "--retry-delay",
                           "0", "--retry-max-time", "10", "-o", "/dev/null", self.url("ipv4")])

    @staticmethod
    def url(family: str) -> str:
        address = FAIRLEAD_ADDRESS[family]
        host = address if family == "ipv4" else f"[{address}]"
        return f"http://{host}:{NGINX}/file"

    def stop(self) -> None:
        self.process.stop()
