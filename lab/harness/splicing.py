"""A switch that splices between the client and backend b1, and transfers through it by curl, which
are compared by hash."""

import hashlib
import json
from pathlib import Path

from harness.backends import HTTP, Backend, Backends, address_of
from harness.lab import FAIRLEAD_ADDRESS, FAMILIES, Lab
from harness.process import Process, run
from harness.proxies import FAIRLEAD_PORT, Switch

PINS = Path("/sys/fs/bpf/fairlead")
SECONDS = 60  # for a transfer
CURL = ("curl", "-sSf", "-m", SECONDS)


class SplicingSwitch(Switch):
    """Both families, spliced in `seat`, of the interface to the servers in `server_seat` or likewise.
    body: what else stands in each virtual server's block,
    more: outside."""

    def __init__(self, lab: Lab, binaries: Path, scratch: Path, seat: str,
                 body: str = "splice early", more: str = "", before=(), server_seat: str = ""):
        self.seat = seat
        servers = "".join(
            f"virtual_server {FAIRLEAD_ADDRESS[family]} {FAIRLEAD_PORT} {{\n{body}\n"
            f"  real_server {address_of('b1', family)} {HTTP}\n}}\n" for family in FAMILIES)
        interfaces = (f"interface fairlead {{ seat {seat} }}\n"
                      f"interface server1 {{ seat {server_seat or seat} }}\n")
        super().__init__(lab, binaries, scratch, more + servers, before, interfaces)

    def url(self, family: str, path: str) -> str:
        address = FAIRLEAD_ADDRESS[family]
        return f"http://{f'[{address}]' if family == 'ipv6' else address}:{self.port}{path}"

    def splices(self) -> dict:
        return self.show_json("stats")["splices"]

    def refused(self) -> dict[str, int]:
        """How many sessions stayed relayed, by reason; reasons that were none are left out."""
        return {why: count for why, count in self.splices()["refused"].items() if count > 0}

    def assert_spliced(self, count: int) -> None:
        """So many sessions so far, every one of them, in the seat that was asked for."""
        assert self.refused() == {}
        assert self.counters()["spliced"] == count
        splices = self.splices()
        assert splices["counters"]["opened"] == count
        in_kernel = splices["kernel"].get("translated", 0)
        if self.seat == "user":
            assert splices["counters"]["sunk"] == in_kernel == 0
            assert splices["counters"]["translated"] > 0
        else:
            assert splices["counters"]["sunk"] == count
            assert in_kernel > 0

    @property
    def pins(self) -> Path:
        return PINS / str(Path(f"/run/netns/{self.lab.prefix}-fairlead").stat().st_ino)

    def rules(self) -> int:
        """In the kernel's table."""
        dump = run(["bpftool", "-j", "map", "dump", "pinned", self.pins / "rules-v1"])
        return len(json.loads(dump.stdout))


def hash_of(file: Path) -> str:
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


class Download:
    """Of one of the backends' files, in the background."""

    def __init__(self, switch: SplicingSwitch, family: str, file: Path, log: Path, *options: str):
        self.expected = hash_of(file)
        self.process: Process = switch.lab.start(
            "client", ["sh", "-c", '"$@" | sha256sum', "sh", *CURL, *options,
                       switch.url(family, f"/{file.name}")], log)

    def assert_intact(self) -> None:
        assert self.process.wait(SECONDS + 10) == 0
        assert self.process.output.split()[0] == self.expected, self.process.output


class Upload:
    """Of a file to backend b1, in the background."""

    def __init__(self, switch: SplicingSwitch, family: str, file: Path, log: Path,
                 backend: Backend):
        self.file = file
        self.arrived = backend.uploads / file.name
        self.process: Process = switch.lab.start(
            "client", [*CURL, "-T", file, switch.url(family, f"/uploads/{file.name}")], log)

    def assert_intact(self) -> None:
        assert self.process.wait(SECONDS + 10) == 0, self.process.output
        assert hash_of(self.arrived) == hash_of(self.file)
        self.arrived.unlink()


def assert_transfers(switch: SplicingSwitch, backends: Backends, family: str, name: str,
                     scratch: Path) -> None:
    """A download and, at the same time, an upload of that file arrive intact."""
    file = backends.files / name
    both = [Download(switch, family, file, scratch / f"download-{family}.log"),
            Upload(switch, family, file, scratch / f"upload-{family}.log", backends["b1"])]
    for transfer in both:
        transfer.assert_intact()
