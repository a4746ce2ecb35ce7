"""The lab of lab/lab.sh, as an object."""

import contextlib
import ctypes
import os
import resource
from pathlib import Path

from harness.process import Process, run

LAB_SH = Path(__file__).resolve().parents[1] / "lab.sh"
CLONE_NEWNET = 0x40000000

FAMILIES = ("ipv4", "ipv6")
# The interface of P-fairlead that faces the client, and that client.
FAIRLEAD_ADDRESS = {"ipv4": "198.18.0.1", "ipv6": "2001:db8::1"}
CLIENT_ADDRESS = {"ipv4": "198.18.0.2", "ipv6": "2001:db8::2"}


def allow_many_descriptors() -> None:
    """As many as permitted; what is started in a lab inherits that."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Lab:
    def __init__(self, prefix: str, offloads: str = "on", *options: str):
        self.prefix = prefix
        self.offloads = offloads
        allow_many_descriptors()
        run([LAB_SH, "up", "--prefix", prefix, "--offloads", offloads, *options])

    def down(self) -> None:
        run([LAB_SH, "down", "--prefix", self.prefix])

    def napi_thread(self, end: str) -> int:
        """Of a lab with --napi: who receives there, as a process id."""
        return int(run([LAB_SH, "napi", "--prefix", self.prefix, end]).stdout)

    def inside(self, host: str, argv) -> list:
        """The command line that runs `argv` on a host of the lab. Not by `ip netns exec`: mounts of
        its own would take what is pinned in a BPF file system away with the process."""
        return ["nsenter", f"--net=/run/netns/{self.prefix}-{host}", "--", *argv]

    def run(self, host: str, argv, **options):
        return run(self.inside(host, argv), **options)

    def start(self, host: str, argv, log: Path) -> Process:
        """In the background. It does not outlive the thread that started it, whatever ends that."""
        return Process(["setpriv", "--pdeathsig", "KILL", *self.inside(host, argv)], log)

    @contextlib.contextmanager
    def entered(self, host: str):
        """This thread is in the host's namespace inside the block; sockets made there stay there."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(namespace):
            if libc.setns(namespace, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.prefix}-{host}", os.O_RDONLY)
        try:
            enter(there)
            yield
        finally:
            enter(here)
            os.close(here)
            os.close(there)

    def tcp_counter(self, host: str, name: str) -> int:
        """One of the kernel's Tcp counters of /proc/net/snmp, both families: "OutRsts" ..."""
        lines = self.run(host, ["cat", "/proc/net/snmp"]).stdout.splitlines()
        names, values = (line.split() for line in lines if line.startswith("Tcp:"))
        return int(values[names.index(name)])
