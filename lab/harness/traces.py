"""What a Fairlead could leave behind in the kernel and in the file system."""

import json
import time
from pathlib import Path

from harness.lab import Lab
from harness.process import run


def attached(lab: Lab) -> list[str]:
    """Filters, programs and packet sockets on the interfaces of the lab's Fairlead host."""
    found = []
    interfaces = json.loads(lab.run("fairlead", ["ip", "-j", "link"]).stdout)
    for name in (interface["ifname"] for interface in interfaces):
        for direction in ("ingress", "egress"):
            filters = lab.run("fairlead", ["tc", "filter", "show", "dev", name, direction],
                              check=False).stdout
            found += [f"tc filter, {name} {direction}: {line}" for line in filters.splitlines()]
        if "promiscuity 0" not in lab.run(
                "fairlead", ["ip", "-d", "link", "show", name]).stdout:
            found.append(f"{name} is promiscuous")
    for kinds in json.loads(lab.run("fairlead", ["bpftool", "-j", "net", "show"]).stdout):
        found += [f"bpf {kind}: {entry}" for kind, entries in kinds.items() for entry in entries]
    sockets = lab.run("fairlead", ["ss", "-H", "--packet"]).stdout
    found += [f"packet socket: {line}" for line in sockets.splitlines()]
    return found


def bpf_objects() -> set[tuple[str, int]]:
    """All programs, maps and links of the machine, by kind and id."""
    objects = set()
    for kind in ("prog", "map", "link"):
        for entry in json.loads(run(["bpftool", "-j", kind, "show"]).stdout):
            objects.add((kind, entry["id"]))
    return objects


def runtime_files() -> set[Path]:
    return set(Path("/run/fairlead").glob("*"))


class Traces:
    """Compares the machine before and after."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.objects = bpf_objects()
        self.files = runtime_files()

    def assert_none(self) -> None:
        assert attached(self.lab) == []
        assert runtime_files() <= self.files
        # The kernel frees programs after a grace period.
        deadline = time.monotonic() + 10
        while (left := bpf_objects() - self.objects) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left
