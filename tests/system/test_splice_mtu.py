"""Spliced connections on a path that becomes narrower: whoever sends too much must be told."""

import os
import socket

import pytest
from harness.backends import HTTP, Backends, address_of
from harness.lab import FAIRLEAD_ADDRESS
from harness.proxies import FAIRLEAD_PORT, Switch
from harness.scripted import Connection, read_response, request
from conftest import make_lab

SIZE = 8 << 20
NARROW = 1300
SEATS = {"user": "splice_after 1000000", "tc": ""}


@pytest.fixture(scope="module")
def beyond_lab():
    """The client of these tests is behind a router."""
    made = make_lab("b", "on", "--addresses", "3", "--beyond")
    yield made
    made.down()


@pytest.fixture(scope="module")
def backend(beyond_lab, tmp_path_factory) -> Backends:
    running = Backends(beyond_lab, tmp_path_factory.mktemp("backends"))
    running.add_file("big", os.urandom(SIZE))
    yield running
    running.stop()


@pytest.fixture(params=SEATS)
def switch(request, beyond_lab, binaries, tmp_path, family, backend):
    running = Switch(beyond_lab, binaries, tmp_path, f"""
        virtual_server {FAIRLEAD_ADDRESS[family]} {FAIRLEAD_PORT} {{
          {SEATS[request.param]}
          real_server {address_of("b1", family)} {HTTP}
        }}""")
    running.seat = request.param
    yield running
    running.stop()


@pytest.fixture
def narrow(beyond_lab):
    """Makes an interface narrow, for the rest of the test."""
    changed = []

    def change(host: str, interface: str) -> None:
        changed.append((host, interface))
        beyond_lab.run(host, ["ip", "link", "set", interface, "mtu", str(NARROW)])

    yield change
    for host, interface in changed:
        beyond_lab.run(host, ["ip", "link", "set", interface, "mtu", "1500"])
        for end in ("beyond", "server1"):  # they would remember
            beyond_lab.run(end, ["ip", "route", "flush", "cache"])
            beyond_lab.run(end, ["ip", "-6", "route", "flush", "cache"])


@pytest.fixture
def spliced(beyond_lab, switch, family):
    """A client's connection through Fairlead, which has become one with the server's."""
    with beyond_lab.entered("beyond"):
        connection = Connection(
            socket.create_connection((FAIRLEAD_ADDRESS[family], FAIRLEAD_PORT), timeout=20))
    connection.send(request("/name"))
    assert read_response(connection)[0] == 200
    assert splices(switch)["opened"] == 1
    assert splices(switch)["sunk"] == (1 if switch.seat == "tc" else 0)
    yield connection
    connection.raw.close()


def splices(switch) -> dict:
    return switch.show_json("stats")["splices"]["counters"]


def assert_comes_through(connection, backend) -> None:
    connection.send(request("/big"))
    status, _, body = read_response(connection)
    assert status == 200
    assert body == (backend.files / "big").read_bytes()


def test_a_routers_error_reaches_the_server(spliced, backend, switch, narrow):
    narrow("client", "beyond")
    assert_comes_through(spliced, backend)
    assert splices(switch)["icmp_translated"] > 0


def test_a_narrower_way_out_is_told_to_the_server(spliced, backend, switch, narrow):
    narrow("fairlead", "fairlead")
    assert_comes_through(spliced, backend)
    assert splices(switch)["too_big_answered"] > 0


def test_a_narrower_way_out_is_told_to_the_client(spliced, switch, narrow):
    narrow("fairlead", "server1")
    spliced.send(b"POST /name HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % SIZE)
    spliced.send(os.urandom(SIZE))
    assert read_response(spliced)[0] in (200, 405)
    assert splices(switch)["too_big_answered"] > 0


def test_without_a_process_nobody_resets_who_sends_too_much(spliced, backend, switch, narrow,
                                                            beyond_lab):
    if switch.seat == "user":
        pytest.skip("no process, no splice")
    narrow("fairlead", "fairlead")
    assert_comes_through(spliced, backend)  # and the kernel's program knows the way
    switch.ask("stop", "--keep")
    assert switch.process.wait() == 0
    for flush in (["ip", "route", "flush", "cache"], ["ip", "-6", "route", "flush", "cache"]):
        beyond_lab.run("server1", flush)
    resets = beyond_lab.tcp_counter("fairlead", "OutRsts")
    spliced.send(request("/big"))
    spliced.raw.settimeout(1)
    with pytest.raises(TimeoutError):
        while spliced.receive():
            pass
        raise AssertionError("the connection has ended")
    assert beyond_lab.tcp_counter("fairlead", "OutRsts") == resets
    switch.start()
    spliced.raw.settimeout(20)
    status, _, body = read_response(spliced)
    assert status == 200
    assert body == (backend.files / "big").read_bytes()
