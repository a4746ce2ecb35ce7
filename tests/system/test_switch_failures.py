"""What the switch does when servers, clients or requests are not as they should be."""

import os
import socket
import threading
import time

import pytest
from harness.backends import address_of
from harness.load import BackgroundWrk, wrk
from harness.proxies import FAIRLEAD_PORT, url, virtual_server
from harness.scripted import (ADDRESS, ScriptedServer, answer, answer_and_close, ask, connect,
                              connect_many, read_response, request, response, say_nothing,
                              wait_until)

MIB = 1 << 20
SCRIPTED = 8000  # port
B1, B2 = f"{address_of('b1')} 80", f"{address_of('b2')} 80"
REFUSES = f"{ADDRESS} 8999"  # nobody listens there
# No such machines. One for each test: the kernel remembers for a while that it asked in vain, and then
# a connection to it is not late but impossible.
SILENT, SILENT_TOO = "198.18.1.99 80", "198.18.1.98 80"
CHECKED = " { health_check http /health { interval 200ms; timeout 100ms; rise 2; fall 2 } }"


def status_of(lab, port: int = FAIRLEAD_PORT, data: bytes = request("/name"), **options) -> int:
    return ask(lab, port, data, **options)[0]


# ---- servers -------------------------------------------------------------------------------------

def test_a_server_that_dies_within_an_answer_ends_the_connection(web_lab, in_front_of):
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(500_000)
    with ScriptedServer(web_lab, SCRIPTED, answer_and_close(half)) as server:
        connection = connect(web_lab, in_front_of(server.endpoint).port)
        connection.send(request())
        head = connection.receive_until(b"\r\n\r\n")
        assert b"1000000" in head, "the client can see that something is missing"
        assert len(connection.receive_to_end()) == 500_000


def test_a_server_that_is_killed_within_an_answer_disturbs_nobody_else(web_lab, backends,
                                                                       start_switch):
    start_switch(virtual_server(servers=(B1, B2)))
    backends.add_file("large", os.urandom(64 * MIB))
    readers = [connect(web_lab, FAIRLEAD_PORT) for _ in range(2)]
    for reader in readers:
        reader.send(request("/large"))
    heads = [reader.receive_until(b"\r\n\r\n") for reader in readers]
    backends["b1"].process.popen.kill()
    backends["b1"].stop()
    try:
        sizes = {("b1" if b"X-Backend: b1" in head else "b2"): len(reader.receive_exactly(64 * MIB))
                 for head, reader in zip(heads, readers)}
        assert sizes["b2"] == 64 * MIB and sizes["b1"] < 64 * MIB
        assert [status_of(web_lab) for _ in range(4)] == [200] * 4
    finally:
        backends["b1"].start()


def test_a_server_that_never_answers_is_given_up_with_504(web_lab, start_switch):
    with ScriptedServer(web_lab, SCRIPTED, say_nothing) as server:
        switch = start_switch(virtual_server("timeout_synack 500ms", [server.endpoint]))
        start = time.monotonic()
        assert status_of(web_lab) == 504
        assert 0.4 < time.monotonic() - start < 3
        assert switch.counters()["answer_timeouts"] == 1
        wait_until(server.connections[0].ended.is_set)


def test_a_server_that_refuses_is_passed_over(web_lab, backends, start_switch):
    switch = start_switch(virtual_server(servers=(REFUSES, B2)))
    assert [ask(web_lab, FAIRLEAD_PORT, request("/name"))[2] for _ in range(6)] == [b"b2\n"] * 6
    counters = switch.counters()
    assert counters["server_refused"] >= 3 and counters["server_retries"] >= 3


def test_a_server_that_is_not_there_is_passed_over(web_lab, backends, start_switch):
    start_switch(virtual_server("timeout_synsent 300ms", (SILENT, B2)))
    assert [status_of(web_lab) for _ in range(4)] == [200] * 4


def test_servers_that_all_refuse_are_a_502(web_lab, start_switch):
    start_switch(virtual_server(servers=(REFUSES, f"{ADDRESS} 8998")))
    assert status_of(web_lab) == 502


def test_servers_that_are_all_not_there_are_a_504(web_lab, start_switch):
    start_switch(virtual_server("timeout_synsent 300ms", (SILENT_TOO,)))
    assert status_of(web_lab) == 504


def test_all_servers_down_is_a_503_until_one_is_back(web_lab, backends, start_switch):
    switch = start_switch(virtual_server(servers=(B1 + CHECKED, B2 + CHECKED)))

    def up() -> list[bool]:
        return [server["up"] for server in switch.servers().values()]

    assert status_of(web_lab) == 200
    for name in ("b1", "b2"):
        backends[name].stop()
    try:
        wait_until(lambda: up() == [False, False])
        assert status_of(web_lab) == 503
    finally:
        for name in ("b1", "b2"):
            backends[name].start()
    wait_until(lambda: up() == [True, True])
    assert {ask(web_lab, FAIRLEAD_PORT, request("/name"))[2] for _ in range(4)} == {b"b1\n", b"b2\n"}


def test_a_server_that_says_it_is_sick_gets_nothing(web_lab, backends, start_switch):
    switch = start_switch(virtual_server(servers=(B1 + CHECKED, B2 + CHECKED)))
    backends["b1"].sicken(True)
    try:
        wait_until(lambda: not switch.servers()[f"{address_of('b1')}:80"]["up"])
        assert {ask(web_lab, FAIRLEAD_PORT, request("/name"))[2] for _ in range(4)} == {b"b2\n"}
    finally:
        backends["b1"].sicken(False)
    wait_until(lambda: switch.servers()[f"{address_of('b1')}:80"]["up"])


GARBAGE = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "zeroes": b"\0" * 100 + b"\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    "an endless head": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000,
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_an_answer_that_is_no_http_is_a_502(web_lab, start_switch, garbage):
    with ScriptedServer(web_lab, SCRIPTED, answer_and_close(garbage)) as server:
        start_switch(virtual_server("balance request", [server.endpoint]))
        assert status_of(web_lab) == 502


def test_a_server_that_ends_without_an_answer_is_a_502(web_lab, start_switch):
    with ScriptedServer(web_lab, SCRIPTED, answer_and_close(b"")) as server:
        start_switch(virtual_server(servers=[server.endpoint]))
        assert status_of(web_lab) == 502


# ---- clients -------------------------------------------------------------------------------------

@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_a_client_that_goes_takes_its_server_connection_along(web_lab, start_switch, reset):
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + bytes(MIB)

    def stream(connection) -> None:
        connection.receive_until(b"\r\n\r\n")
        connection.send(endless)
        while not connection.ended.is_set():
            connection.send(bytes(MIB))  # raises when nobody takes it any more

    with ScriptedServer(web_lab, SCRIPTED, stream) as server:
        switch = start_switch(virtual_server(servers=[server.endpoint]))
        connection = connect(web_lab, FAIRLEAD_PORT)
        connection.send(request())
        connection.receive_until(b"\r\n\r\n")
        if reset:
            connection.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.raw.close()
        wait_until(server.connections[0].ended.is_set)
        wait_until(lambda: switch.sessions() == 0)


def test_a_client_that_ends_while_it_waits_takes_its_server_connection_along(web_lab, start_switch):
    with ScriptedServer(web_lab, SCRIPTED, say_nothing) as server:
        start_switch(virtual_server(servers=[server.endpoint]))
        connection = connect(web_lab, FAIRLEAD_PORT)
        connection.send(request())
        server.wait_for_connections(1)
        connection.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.raw.close()
        wait_until(server.connections[0].ended.is_set)


def test_a_client_that_has_ended_its_side_still_gets_its_answer(web_lab, in_front_of):
    def late(connection) -> None:
        connection.receive_until(b"\r\n\r\n")
        time.sleep(0.3)
        connection.send(response(b"late"))

    with ScriptedServer(web_lab, SCRIPTED, late) as server:
        connection = connect(web_lab, in_front_of(server.endpoint).port)
        connection.send(request())
        connection.raw.shutdown(socket.SHUT_WR)
        assert read_response(connection)[2] == b"late"
        assert connection.receive_to_end() == b""


def test_each_side_of_a_tcp_connection_may_end_by_itself(web_lab, start_switch):
    def count(connection) -> None:
        connection.send(b"%d bytes" % len(connection.receive_to_end()))

    with ScriptedServer(web_lab, SCRIPTED, count) as server:
        start_switch(virtual_server("protocol tcp", [server.endpoint]))
        connection = connect(web_lab, FAIRLEAD_PORT)
        connection.send(bytes(3 * MIB))
        connection.raw.shutdown(socket.SHUT_WR)
        assert connection.receive_to_end() == b"3145728 bytes"


def test_a_client_that_reads_slowly_gets_everything(web_lab, backends, in_front_of):
    content = os.urandom(8 * MIB)
    backends.add_file("slow", content)
    connection = connect(web_lab, in_front_of(B1).port)
    connection.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    connection.send(request("/slow"))
    time.sleep(1)
    assert read_response(connection)[2] == content


def test_slow_heads_of_2000_clients_are_ended_and_disturb_nobody(web_lab, backends, start_switch):
    switch = start_switch(virtual_server("timeout_listen 4s"))
    slow = connect_many(web_lab, FAIRLEAD_PORT, 2000)
    for connection in slow:
        connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
    report = wrk(web_lab, url(switch, "/64"), seconds=1)
    assert report.errors == {} and report.requests > 1000
    for connection in slow:
        connection.send(b"X-More: x\r\n")  # does not give it more time
    before = time.monotonic()
    for connection in slow:
        assert connection.receive_to_end()[:12] in (b"", b"HTTP/1.1 408")
    assert time.monotonic() - before < 15
    assert switch.counters()["head_timeouts"] == 2000
    for connection in slow:
        connection.raw.close()
    wait_until(lambda: switch.sessions() == 0)


def test_10000_clients_stay_connected_and_are_all_served(web_lab, backends, start_switch):
    switch = start_switch(virtual_server("listen_backlog 4096"))
    clients = connect_many(web_lab, FAIRLEAD_PORT, 10_000)
    for _ in range(2):
        for client in clients:
            client.send(request("/64"))
        for client in clients:
            status, _, body = read_response(client)
            assert status == 200 and len(body) == 64
    assert switch.sessions() == 10_000
    assert wrk(web_lab, url(switch, "/64"), seconds=1).errors == {}
    for client in clients:
        client.raw.close()
    wait_until(lambda: switch.sessions() == 0, timeout=20)


def test_clients_that_come_and_go_at_any_point_leave_nothing(web_lab, backends, start_switch,
                                                             tmp_path):
    switch = start_switch()
    background = BackgroundWrk(web_lab, tmp_path, url(switch, "/10k"), 4)
    text = request("/1M", "X-Long: " + 150 * "x" + "\r\n") * 2

    def come_and_go(seed: int) -> None:
        for i in range(seed, 400, 4):
            connection = connect(web_lab, FAIRLEAD_PORT)
            connection.send(text[:i])
            if i > len(text) / 2 and i % 3 == 0:
                connection.receive(1 + i * 100)
            if i % 2:
                connection.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.raw.close()

    threads = [threading.Thread(target=come_and_go, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert background.report().errors == {}
    wait_until(lambda: switch.sessions() == 0, timeout=15)


# ---- requests ------------------------------------------------------------------------------------

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"

MALFORMED = {
    "no HTTP": b"HELO mail.example.org\r\n\r\n",
    "a space too many": b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
    "no colon": GET + b"Accept\r\n\r\n",
    "a NUL": GET + b"Accept: a\0b\r\n\r\n",
    "a control character in the path": b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": GET + b"Host: y\r\n\r\n",
}

SMUGGLING = {  # RFC 9112 §11.2
    "CL.TE": POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "TE.CL": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\nG\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
    "two equal lengths": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": POST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": POST + b"Content-Length: -1\r\n\r\nabc",
    "a length beyond 64 bits": POST + b"Content-Length: 18446744073709551619\r\n\r\nabc",
    "a length in hexadecimal": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded line": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a bare LF": b"GET / HTTP/1.1\nHost: x\n\n",
    "a bare LF in a line": GET + b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bare CR": GET + b"X: y\rZ: w\r\n\r\n",
    "a blank before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a blank before the name": b"POST / HTTP/1.1\r\n Host: x\r\nContent-Length: 3\r\n\r\nabc",
    "a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
}


def test_a_later_request_is_refused_like_a_first_one(web_lab, start_switch):
    with ScriptedServer(web_lab, 8000, answer(response(b"seen"))) as server:
        start_switch(virtual_server("balance request", [server.endpoint]))
        for data in (SMUGGLING["CL.TE"], MALFORMED["a NUL"]):
            connection = connect(web_lab, FAIRLEAD_PORT)
            connection.send(GET + b"\r\n" + data)
            assert read_response(connection)[2] == b"seen"
            assert read_response(connection)[0] == 400
            assert connection.receive_to_end() == b""
        assert server.received() == b""


@pytest.fixture(name="seen", scope="module")
def fixture_seen(web_lab, binaries, tmp_path_factory):
    """A server that remembers, behind a switch for all tests of requests."""
    from harness.proxies import Switch  # pylint: disable=import-outside-toplevel
    with ScriptedServer(web_lab, 8001, answer(response(b"seen"))) as server:
        switch = Switch(web_lab, binaries, tmp_path_factory.mktemp("requests"),
                        virtual_server("max_request_head 8k", [server.endpoint]))
        yield server
        assert switch.stop() == 0


def assert_refused(lab, seen, data: bytes, *statuses: int) -> None:
    before = len(seen.connections)
    connection = connect(lab, FAIRLEAD_PORT)
    connection.send(data)
    assert read_response(connection)[0] in statuses
    assert connection.receive_to_end() == b"", "and the connection ends"
    assert len(seen.connections) == before and seen.received() == b""


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_is_a_400_and_no_server_sees_it(web_lab, seen, data):
    assert_refused(web_lab, seen, data, 400)


def test_a_version_of_the_future_is_a_505_and_no_server_sees_it(web_lab, seen):
    assert_refused(web_lab, seen, b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 505)


@pytest.mark.parametrize("data", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_a_request_of_two_readings_is_refused_and_no_server_sees_it(web_lab, seen, data):
    assert_refused(web_lab, seen, data, 400, 501)  # 501: a coding we don't know, RFC 9112 §6.1


@pytest.mark.parametrize("data", [GET + b"X: " + b"a" * 9000 + b"\r\n\r\n",
                                  GET + b"X: y\r\n" * 2000 + b"\r\n"],
                         ids=["header", "headers"])
def test_an_oversized_head_is_a_431_and_no_server_sees_it(web_lab, seen, data):
    assert_refused(web_lab, seen, data, 431)


def test_an_oversized_target_is_a_414_and_no_server_sees_it(web_lab, seen):
    assert_refused(web_lab, seen, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414)
