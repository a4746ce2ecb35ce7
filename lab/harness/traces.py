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


def bpf_orphans() -> set[tuple[str, int]]:
    """Programs, maps and links of the machine that no process holds, by kind and id: something
    else, a pin or an attachment, keeps them. Those that others are using are none of a test's."""
    objects = set()
    for kind in ("prog", "map", "link"):
        # An object that goes away while bpftool lists them makes it fail.
        for _ in range(20):
            done = run(["bpftool", "-j", kind, "show"], check=False)
            if done.returncode == 0:
                break
        for entry in json.loads(done.stdout):
            if not entry.get("pids"):
                objects.add((kind, entry["id"]))
    return objects


def lock_files(lab: Lab) -> set[Path]:
    """Those of interfaces of the lab's Fairlead host; their names hold the namespace's inode. One
    that was killed in an earlier namespace of that inode may have left some, which do no harm."""
    inode = Path(f"/run/netns/{lab.prefix}-fairlead").stat().st_ino
    return set(Path("/run/fairlead").glob(f"*-{inode}-*"))


class Traces:
    """Compares the machine before and after."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.orphans = bpf_orphans()
        self.lock_files = lock_files(lab)

    def assert_none(self) -> None:
        assert attached(self.lab) == []
        assert lock_files(self.lab) - self.lock_files == set()
        # The kernel frees programs after a grace period.
        deadline = time.monotonic() + 10
        while (left := bpf_orphans() - self.orphans) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left
