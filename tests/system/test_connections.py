"""Very many short connections, and ends of all kinds."""

import socket

import pytest
from harness.client import assert_flawless
from harness.lab import FAIRLEAD_ADDRESS
from harness.servers import CHARGEN, ECHO, FairleadServer, KernelServer


def connect(lab, family: str, port: int) -> socket.socket:
    with lab.entered("client"):
        return socket.create_connection((FAIRLEAD_ADDRESS[family], port), timeout=10)


def read_to_end(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.usefixtures("each_lab")
def test_a_hundred_thousand_short_connections_all_succeed(server, client, family):
    count = 5_000 if isinstance(server, KernelServer) else 100_000
    report = client.run("requests", family, ECHO, "--connections", count, "--concurrency", 100,
                        timeout=90)
    assert_flawless(report, count)
    assert report["verified"]


def test_connections_that_the_client_resets_do_not_disturb_others(server, client, family):
    assert_flawless(client.run("requests", family, ECHO, "--connections", 5000, "--concurrency",
                               100, "--reset"), 5000)
    assert_flawless(client.run("requests", family, ECHO, "--connections", 5000, "--concurrency",
                               100), 5000)


@pytest.mark.parametrize("kind", [KernelServer, FairleadServer])
def test_a_server_with_a_limit_closes_first(kind, any_lab, binaries, client, tmp_path, family):
    def resets() -> int:
        return any_lab.tcp_counter("client", "EstabResets")

    server = kind(any_lab, binaries, tmp_path, limit=64)
    before = resets()
    whole = client.run("requests", family, ECHO, "--connections", 2000, "--concurrency", 50,
                       "--await-close")
    # Two writes, of which the server answers half of the second.
    long = client.run("requests", family, ECHO, "--requests", 2, "--size", 48, "--await-close")
    server.stop()
    assert_flawless(whole, 2000)
    assert long["failures"] in ({"ended early": 1}, {"read ECONNRESET": 1}), long
    assert long["bytes_received"] <= 64
    assert resets() - before <= 1


def test_many_requests_on_one_connection_are_answered_in_order(server, client, family):
    report = client.run("requests", family, ECHO, "--requests", 20000, "--size", 300)
    assert_flawless(report, 1)
    assert report["requests"] == 20000


def test_what_was_sent_before_the_clients_end_still_comes_back(server, lab, family):
    with connect(lab, family, ECHO) as connection:
        connection.sendall(b"last words")
        connection.shutdown(socket.SHUT_WR)
        assert read_to_end(connection) == b"last words"


def test_urgent_data_is_part_of_the_stream(server, lab, family):
    with connect(lab, family, ECHO) as connection:
        connection.sendall(b"in ")
        connection.send(b"line", socket.MSG_OOB)  # RFC 6093 §4: deliver it in line
        connection.shutdown(socket.SHUT_WR)
        echoed = read_to_end(connection)
        # The kernel's socket takes the one urgent byte out of the stream; Fairlead's does not.
        assert echoed == (b"in lin" if isinstance(server, KernelServer) else b"in line")


def test_a_client_that_stops_reading_stops_chargen_and_can_go_on_later(server, lab, family):
    with connect(lab, family, CHARGEN) as connection:
        first = connection.recv(1000)
        connection.settimeout(1)
        received = len(first)
        while received < 32 << 20:
            received += len(connection.recv(1 << 20))


def test_a_port_nobody_serves_is_refused_by_the_kernel(server, lab, family):
    before = lab.tcp_counter("fairlead", "OutRsts")
    with pytest.raises(ConnectionRefusedError):
        connect(lab, family, 81)
    assert lab.tcp_counter("fairlead", "OutRsts") == before + 1
