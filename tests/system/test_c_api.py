"""A C program on Fairlead's sockets (examples/echo_server.c), and the kernel's clients."""

import pytest
from harness.client import assert_flawless
from harness.lab import FAIRLEAD_ADDRESS
from harness.servers import ECHO, KernelServer


class EchoServer:
    def __init__(self, lab, binaries, scratch, configuration: str, family: str = "ipv4"):
        self.process = lab.start(
            "fairlead", [binaries / "src/api/example_echo_server", configuration,
                         FAIRLEAD_ADDRESS[family], ECHO], scratch / "echo_server.log")


def test_short_connections_are_served(lab, binaries, client, family, tmp_path):
    server = EchoServer(lab, binaries, tmp_path, "interface fairlead", family).process
    server.wait_for("^ready$")
    assert_flawless(client.run("requests", family, ECHO, "--connections", 3000, "--concurrency", 50),
                    3000)
    assert server.stop() == 0, server.output
    assert server.output == "ready\n"
    # Everything is the kernel's again: it answers for the port, and BPF programs are gone.
    for tool in (["tc", "filter", "show", "dev", "fairlead", "ingress"],
                 ["bpftool", "net", "show", "dev", "fairlead"]):
        shown = lab.run("fairlead", tool).stdout
        assert "fairlead_" not in shown and "fl_" not in shown, shown
    assert client.run("requests", family, ECHO, "--connections", 1)["failures"] == {"connect ECONNREFUSED": 1}


def test_connections_that_are_over_leave_nothing_behind(lab, binaries, client, tmp_path):
    server = EchoServer(lab, binaries, tmp_path, "interface fairlead\ntcp { time_wait 1s }").process
    server.wait_for("^ready$")

    def resident_kib() -> int:
        with open(f"/proc/{server.popen.pid}/smaps_rollup") as rollup:
            return next(int(line.split()[1]) for line in rollup if line.startswith("Rss:"))

    def serve(connections: int) -> None:
        assert_flawless(client.run("requests", "ipv4", ECHO, "--connections", connections,
                                   "--concurrency", 50), connections)
    serve(60000)  # tables have what they need
    before = resident_kib()
    serve(60000)
    assert resident_kib() < before + 1024
    assert server.stop() == 0


def test_a_port_that_a_kernel_program_has_is_refused(lab, binaries, client, tmp_path):
    kernel = KernelServer(lab, binaries, tmp_path)
    server = EchoServer(lab, binaries, tmp_path, "interface fairlead").process
    assert server.wait() == 1
    assert "fl_listen: Address already in use" in server.output
    assert_flawless(client.run("requests", "ipv4", ECHO, "--connections", 10), 10)
    kernel.stop()


@pytest.mark.parametrize("configuration, why", [
    ("", "expected at least one \"interface NAME\""),
    ("interface no_such", "no_such"),
    ("interface fairlead\nbacklog many", "configuration:2:1"),
    ("interface fairlead\necho_server 192.0.2.1 7", "services are for \"fairlead run\""),
])
def test_what_is_wrong_is_said(lab, binaries, tmp_path, configuration, why):
    server = EchoServer(lab, binaries, tmp_path, configuration).process
    assert server.wait() == 1
    assert why in server.output
