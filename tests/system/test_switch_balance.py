"""Which server gets what: schedules, rules, pools, bounds; and what servers are told of clients.

The arithmetic has unit tests of its own; here every directive goes the whole way."""

import re
import socket
import struct
from collections import Counter

import pytest
from harness.backends import NAMES, PROXIED, address_of
from harness.lab import CLIENT_ADDRESS, FAIRLEAD_ADDRESS
from harness.proxies import FAIRLEAD_PORT as PORT
from harness.proxies import BACKENDS, virtual_server
from harness.scripted import (ScriptedServer, answer, ask, connect, read_response, request,
                              response, say_nothing, wait_until)

B1, B2, B3 = BACKENDS



def name_of(reply) -> str:
    """Which backend gave it."""
    status, headers, _ = reply
    assert status == 200, reply
    return headers["x-backend"]


def met(lab, count: int, make=lambda i: request("/name"), port: int = PORT) -> list[str]:
    """The backends that `count` requests met, each on a connection of its own."""
    return [name_of(ask(lab, port, make(i))) for i in range(count)]


def seen(lab, data: bytes) -> dict[str, str]:
    """What a backend says about a request for /seen."""
    body = ask(lab, PORT, data)[2].decode()
    return dict(re.findall(r"(\w+)=(\S*)", body))


@pytest.fixture(autouse=True)
def backends_are_there(backends):
    return backends


# ---- schedules -----------------------------------------------------------------------------------

@pytest.mark.parametrize("schedule", ["", "schedule_rr"])
def test_rr_gives_each_its_turn(web_lab, start_switch, schedule):
    start_switch(virtual_server(schedule))
    order = met(web_lab, 12)
    assert order[:3] * 4 == order and sorted(order[:3]) == list(NAMES)


def test_wrr_mixes_by_weight(web_lab, start_switch):
    start_switch(virtual_server("schedule_wrr", [f"{B1} {{ weight 5 }}", B2, B3]))
    order = met(web_lab, 28)
    assert Counter(order) == {"b1": 20, "b2": 4, "b3": 4}
    assert order[:7] == ["b1", "b1", "b2", "b1", "b3", "b1", "b1"], "evenly mixed"


def keep_busy(lab, start_switch, schedule: str, weights=(1, 1, 1), count: int = 30) -> Counter:
    """`count` connections that stay, behind three servers that never answer; by server."""
    servers = [ScriptedServer(lab, 8000 + i, say_nothing) for i in range(3)]
    held = []
    try:
        start_switch(virtual_server(schedule, [f"{server.endpoint} {{ weight {weight} }}"
                                               for server, weight in zip(servers, weights)]))
        for i in range(count):
            held.append(connect(lab, PORT))
            held[-1].send(request())
            wait_until(lambda n=i: sum(len(s.connections) for s in servers) == n + 1)
        return Counter({i: len(server.connections) for i, server in enumerate(servers)})
    finally:
        for connection in held:
            connection.raw.close()
        for server in servers:
            server.__exit__()


def test_lc_keeps_connections_even(web_lab, start_switch):
    assert keep_busy(web_lab, start_switch, "schedule_lc") == {0: 10, 1: 10, 2: 10}


def test_wlc_keeps_connections_in_proportion_to_weights(web_lab, start_switch):
    assert keep_busy(web_lab, start_switch, "schedule_wlc", (3, 2, 1)) == {0: 15, 1: 10, 2: 5}


def test_p2c_keeps_connections_nearly_even(web_lab, start_switch):
    loads = keep_busy(web_lab, start_switch, "schedule_p2c", count=60)
    assert all(14 <= load <= 26 for load in loads.values()), loads


def test_lc_prefers_the_server_with_fewer_connections(web_lab, start_switch):
    with ScriptedServer(web_lab, 8000, say_nothing) as busy:
        switch = start_switch(virtual_server("schedule_lc", [busy.endpoint, B2]))
        held = connect(web_lab, PORT)
        held.send(request())
        busy.wait_for_connections(1)
        for _ in range(5):
            assert met(web_lab, 1) == ["b2"]
            wait_until(lambda: switch.servers()[B2.replace(" ", ":")]["active"] == 0)


HASHES = {
    "source": lambda i: request("/name"),
    "uri": lambda i: request(f"/name?{i}"),
    "header X-User": lambda i: request("/name", "X-User: anna\r\n"),
    "cookie session": lambda i: request("/name", f"Cookie: a={i}; session=1234\r\n"),
}


@pytest.mark.parametrize("what", HASHES.keys())
def test_hash_gives_the_same_value_to_the_same_server(web_lab, start_switch, what):
    start_switch(virtual_server(f"schedule_hash {what}"))
    assert len(set(met(web_lab, 10, HASHES[what]))) == 1


def test_hash_spreads_different_values(web_lab, start_switch):
    start_switch(virtual_server("schedule_hash header X-User"))
    loads = Counter(met(web_lab, 300, lambda i: request("/name", f"X-User: user{i}\r\n")))
    assert all(70 <= loads[name] <= 130 for name in NAMES), loads


def test_hash_gives_the_same_server_after_a_restart(web_lab, start_switch):
    def users() -> list[str]:
        return met(web_lab, 30, lambda i: request("/name", f"X-User: user{i}\r\n"))

    switch = start_switch(virtual_server("schedule_hash header X-User"))
    before = users()
    switch.stop()
    switch.start()
    assert users() == before


# ---- rules and pools -----------------------------------------------------------------------------

POOLS = "".join(f"pool {name} {{ real_server {address_of(name)} 80 }}\n" for name in NAMES)

RULES = {
    "match host api.example.org pool b2": {
        request("/name", host="api.example.org"): "b2",
        request("/name", host="API.example.org:8080"): "b2",
        request("/name", host="www.example.org"): "b1"},
    "match host *.example.org pool b2": {
        request("/name", host="a.b.example.org"): "b2",
        request("/name", host="example.org"): "b1"},
    "match path /name pool b2": {
        request("/name"): "b2", request("/name?x"): "b2", request("/health"): "b1"},
    "match path_prefix /na pool b2": {request("/name"): "b1"},
    "match path_prefix /name pool b2": {request("/name"): "b2", request("/64"): "b1"},
    "match header X-Beta yes pool b2": {
        request("/name", "x-beta: yes\r\n"): "b2", request("/name", "X-Beta: no\r\n"): "b1",
        request("/name"): "b1"},
    "match host x path /name pool b2\n match host x pool b3": {
        request("/name", host="x"): "b2", request("/64", host="x"): "b3",
        request("/name", host="y"): "b1"},
}


@pytest.mark.parametrize("rule", RULES.keys())
def test_a_rule_sends_to_its_pool_what_it_matches(web_lab, start_switch, rule):
    start_switch(POOLS + virtual_server(rule, [B1]))
    assert {data: name_of(ask(web_lab, PORT, data)) for data in RULES[rule]} == RULES[rule]


def test_what_no_rule_takes_is_refused_without_servers_of_its_own(web_lab, start_switch):
    switch = start_switch(POOLS + virtual_server("match path /name pool b2", ()))
    assert name_of(ask(web_lab, PORT, request("/name"))) == "b2"
    assert ask(web_lab, PORT, request("/other"))[0] in (404, 421, 503)
    assert switch.counters()["no_route"] == 1


def test_virtual_servers_share_a_pool_and_its_bounds(web_lab, start_switch):
    with ScriptedServer(web_lab, 8000, say_nothing) as server:
        pool = f"pool one {{ real_server {server.endpoint} {{ max_connections 1 }} }}\n"
        rule = "match path_prefix / pool one"
        start_switch(pool + virtual_server(rule, ()) + virtual_server(rule, (), 8090))
        held = connect(web_lab, PORT)
        held.send(request())
        server.wait_for_connections(1)
        assert ask(web_lab, 8090, request())[0] == 503


def test_a_backup_is_used_when_no_other_can_be(web_lab, backends, start_switch):
    check = "{ health_check tcp { interval 200ms; timeout 100ms; rise 1; fall 2 } }"
    switch = start_switch(virtual_server("", [f"{B1} {check}", f"{B2} {{ backup }}"]))
    assert met(web_lab, 4) == ["b1"] * 4
    backends["b1"].stop()
    try:
        wait_until(lambda: not switch.servers()[f"{address_of('b1')}:80"]["up"])
        assert met(web_lab, 4) == ["b2"] * 4
    finally:
        backends["b1"].start()
    wait_until(lambda: switch.servers()[f"{address_of('b1')}:80"]["up"])
    assert met(web_lab, 4) == ["b1"] * 4


def test_a_server_with_as_many_connections_as_it_may_have_is_passed_over(web_lab, start_switch):
    with ScriptedServer(web_lab, 8000, say_nothing) as full:
        start_switch(virtual_server("", [f"{full.endpoint} {{ max_connections 2 }}", B2]))
        held = [connect(web_lab, PORT) for _ in range(4)]
        for connection in held:
            connection.send(request("/name"))
        full.wait_for_connections(2)
        assert met(web_lab, 5) == ["b2"] * 5 and len(full.connections) == 2


def test_clients_beyond_max_connections_wait_until_one_has_gone(web_lab, start_switch):
    start_switch(virtual_server("max_connections 2"))
    held = [connect(web_lab, PORT) for _ in range(3)]
    for connection in held:
        connection.send(request("/name"))
    for connection in held[:2]:
        assert read_response(connection)[0] == 200
    held[2].raw.settimeout(0.5)
    with pytest.raises(TimeoutError):
        held[2].receive()
    held[0].raw.close()
    held[2].raw.settimeout(10)
    assert read_response(held[2])[0] == 200


# ---- what a connection is ------------------------------------------------------------------------

def on_one_connection(lab, count: int) -> list[str]:
    connection = connect(lab, PORT)
    names = []
    for _ in range(count):
        connection.send(request("/name"))
        names.append(name_of(read_response(connection)))
    return names


@pytest.mark.parametrize("balance", ["", "balance connection"])
def test_a_connection_stays_with_the_server_of_its_first_request(web_lab, start_switch, balance):
    start_switch(virtual_server(balance))
    assert {tuple(on_one_connection(web_lab, 4)) for _ in range(3)} == {
        (name,) * 4 for name in NAMES}


def test_each_request_can_be_given_a_server(web_lab, start_switch):
    switch = start_switch(virtual_server("balance request"))
    order = on_one_connection(web_lab, 12)
    assert Counter(order) == {name: 4 for name in NAMES} and order[:3] * 4 == order
    # Connections to servers are used again.
    assert switch.counters()["server_connects"] <= 4


def test_each_request_follows_the_rules_by_itself(web_lab, start_switch):
    start_switch(POOLS + virtual_server("balance request\nmatch path /64 pool b2", [B1]))
    connection = connect(web_lab, PORT)
    names = []
    for path in ("/name", "/64", "/64", "/name"):
        connection.send(request(path))
        names.append(name_of(read_response(connection)))
    assert names == ["b1", "b2", "b2", "b1"]


# ---- what servers are told -----------------------------------------------------------------------

@pytest.mark.parametrize("balance", ["connection", "request"])
def test_the_clients_address_is_added_to_its_request(web_lab, start_switch, balance):
    start_switch(virtual_server(f"balance {balance}\nadd_header X-Forwarded-For"))
    assert seen(web_lab, request("/seen"))["xff"] == CLIENT_ADDRESS["ipv4"]
    known = request("/seen", "X-Forwarded-For: 203.0.113.9\r\n")
    body = ask(web_lab, PORT, known)[2].decode()
    assert f"xff=203.0.113.9, {CLIENT_ADDRESS['ipv4']} " in body


def test_nothing_is_added_to_a_request_unless_told(web_lab, start_switch):
    with ScriptedServer(web_lab, 8000, answer(response())) as server:
        server.script = lambda connection: (connection.receive(), connection.send(response()))
        start_switch(virtual_server("", [server.endpoint]))
        sent = request("/as-it-is?x", "x-ODD:  spaced\t\r\n")
        assert ask(web_lab, PORT, sent)[0] == 200
        assert server.received() == sent


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_the_clients_address_is_sent_in_a_proxy_header(web_lab, start_switch, version, protocol):
    start_switch(virtual_server(f"protocol {protocol}\nsend_proxy {version}",
                                [f"{address_of('b1')} {PROXIED}"]))
    assert seen(web_lab, request("/seen"))["proxy"] == CLIENT_ADDRESS["ipv4"]


def proxy_v2(source: str, destination: str) -> bytes:
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    return (b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11"
            + struct.pack("!H", 12) + addresses + struct.pack("!HH", 4711, 80))


PROXY_HEADERS = {
    "v1": f"PROXY TCP4 203.0.113.7 {FAIRLEAD_ADDRESS['ipv4']} 4711 80\r\n".encode(),
    "v2": proxy_v2("203.0.113.7", FAIRLEAD_ADDRESS["ipv4"]),
}


@pytest.mark.parametrize("header", PROXY_HEADERS.values(), ids=PROXY_HEADERS.keys())
def test_a_proxy_header_says_who_the_client_is(web_lab, start_switch, header):
    start_switch(virtual_server("accept_proxy\nadd_header X-Forwarded-For\nsend_proxy v1",
                                [f"{address_of('b1')} {PROXIED}"]))
    told = seen(web_lab, header + request("/seen"))
    assert (told["xff"], told["proxy"]) == ("203.0.113.7", "203.0.113.7")


@pytest.mark.parametrize("start", [b"", b"PROXY TCP4 1 2 3\r\n", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0"],
                         ids=["none", "wrong v1", "wrong v2"])
def test_without_a_proper_proxy_header_a_connection_ends(web_lab, start_switch, start):
    switch = start_switch(virtual_server("accept_proxy"))
    connection = connect(web_lab, PORT)
    connection.send(start + request("/name"))
    assert connection.receive_to_end() == b""
    faults = {name: n for name, n in switch.counters().items()
              if name.startswith("proxy_") and n}
    assert sum(faults.values()) == 1, faults
