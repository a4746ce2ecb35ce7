"""Start, stop, crash, start again."""

import signal
import socket

import pytest
from harness.client import assert_flawless, assert_intact
from harness.lab import FAIRLEAD_ADDRESS
from harness.servers import ECHO, FairleadServer
from harness.traces import attached

MIB = 1 << 20


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_exit_leaves_nothing_behind(lab, binaries, tmp_path, traces, client, number):
    server = FairleadServer(lab, binaries, tmp_path)
    assert attached(lab) != [], "this test can see what is attached"
    assert_intact(client.run("echo", "ipv4", ECHO, "--bytes", MIB), 1, MIB)
    assert server.stop(number) == 0
    assert not server.control_socket.exists()
    traces.assert_none()


def test_connections_that_are_open_at_the_exit_come_to_an_end(lab, binaries, tmp_path, traces):
    server = FairleadServer(lab, binaries, tmp_path)
    with lab.entered("client"):
        idle = socket.create_connection((FAIRLEAD_ADDRESS["ipv4"], ECHO), timeout=10)
    idle.sendall(b"hello")
    assert idle.recv(100) == b"hello"
    assert server.stop() == 0
    try:
        assert idle.recv(100) == b""
    except ConnectionResetError:
        pass  # as good as an end: the peer knows
    traces.assert_none()


def test_after_a_crash_the_next_start_works(lab, binaries, tmp_path, traces, client):
    server = FairleadServer(lab, binaries, tmp_path)
    with lab.entered("client"):
        orphan = socket.create_connection((FAIRLEAD_ADDRESS["ipv4"], ECHO), timeout=10)
    server.stop(signal.SIGKILL)
    server.start()
    assert_intact(client.run("echo", "ipv4", ECHO, "--bytes", MIB), 1, MIB)
    assert_flawless(client.run("requests", "ipv6", ECHO, "--connections", 1000, "--concurrency",
                               50), 1000)
    orphan.sendall(b"is anybody there?")
    with pytest.raises(ConnectionResetError):
        orphan.recv(1)
    assert server.stop() == 0
    traces.assert_none()


def test_while_it_is_dead_the_kernel_answers_for_it(lab, binaries, tmp_path, client):
    server = FairleadServer(lab, binaries, tmp_path)
    server.stop(signal.SIGKILL)
    assert attached(lab) == []
    report = client.run("echo", "ipv4", ECHO)
    assert report["failures"] == {"connect ECONNREFUSED": 1}
    server.start()
    assert server.stop() == 0


def test_it_can_start_and_stop_many_times(lab, binaries, tmp_path, traces, client):
    server = FairleadServer(lab, binaries, tmp_path)
    for _ in range(5):
        assert_flawless(client.run("requests", "ipv4", ECHO, "--connections", 100,
                                   "--concurrency", 10), 100)
        assert server.stop() == 0
        server.start()
    assert server.stop() == 0
    traces.assert_none()
