"""What shows on real traffic, or in what the daemon tells, that a directive is in force.

Each proof is called with a World in which Fairlead runs with the directive, and fails where it runs
without; but for schedule_rr, which is the default, and what no Fairlead runs without."""

import json
import socket
import ssl
import time

import pytest
from harness.backends import Backends, address_of
from harness.lab import CLIENT_ADDRESS, FAIRLEAD_ADDRESS, Lab
from harness.proxies import FAIRLEAD_PORT as PORT
from harness.proxies import Switch
from harness.scripted import (ADDRESS, Connection, ScriptedServer, ask, connect, read_response,
                              request, response, say_nothing, wait_until)
from scapy.layers.inet import IP, TCP

SECOND_PORT = 8090
SCRIPTED_PORTS = 8001, 8002  # where the servers of a row's script listen
SCRIPTED = [f"{ADDRESS} {port}" for port in SCRIPTED_PORTS]
NAME1, NAME2 = f"{address_of('b1')}:80", f"{address_of('b2')}:80"
SOON = 4  # seconds: less than any default that a proof tells from what it set


class QuietSwitch(Switch):
    """Does not say when it is ready."""

    def start(self) -> None:
        self.process = self.lab.start("fairlead", [self.binary, "run", "-c", self.config],
                                      self.scratch / "fairlead.log")
        self.process.wait_until(self.control_socket.is_socket)


class World:
    def __init__(self, lab: Lab, backends: Backends, switch: Switch, servers: list[ScriptedServer]):
        self.lab, self.backends, self.switch, self.servers = lab, backends, switch, servers
        self.log = switch.scratch / "log"

    def connect(self, data: bytes = b"", port: int = PORT) -> Connection:
        connection = connect(self.lab, port)
        connection.send(data)
        return connection

    def ask(self, data: bytes = request("/name"), port: int = PORT):
        return ask(self.lab, port, data)

    def names(self, count: int, data: bytes = request("/name"), port: int = PORT) -> list[str]:
        """The backends that requests meet, each on a connection of its own."""
        return [self.ask(data, port)[1]["x-backend"] for _ in range(count)]

    def seen(self, data: bytes) -> str:
        """What a backend says of a request for /seen."""
        return self.ask(data)[2].decode()

    def counter(self, name: str) -> int:
        """One of the switch's or of TCP's."""
        stats = self.switch.show_json("stats")
        return (stats["switch"]["counters"] | stats["counters"])[name]

    def stack(self, what: str) -> int:
        return sum(shard[what] for shard in self.switch.show_json("stats")["shards"])

    def sessions(self) -> list[dict]:
        return self.switch.show_json("connections")["sessions"]

    def states(self) -> list[str]:
        """Of all TCP connections."""
        return [row["state"] for row in self.switch.show_json("tcp")["connections"]]

    def wait(self, true) -> None:
        wait_until(true, SOON)


# ---- scripts of servers --------------------------------------------------------------------------

def reset(connection: Connection) -> None:
    connection.receive_until(b"\r\n\r\n")
    connection.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def close_late(connection: Connection) -> None:
    """Some time after the other side has."""
    say_nothing(connection)
    time.sleep(0.3)


def never_close(connection: Connection) -> None:
    """Answers that it will, and does not."""
    connection.receive_until(b"\r\n\r\n")
    connection.send(response(headers="Connection: close\r\n"))
    say_nothing(connection)
    time.sleep(2 * SOON)


def never_end(connection: Connection) -> None:
    """In small pieces: large ones stay where the interface put them, which has its own bound."""
    connection.receive_until(b"\r\n\r\n")
    connection.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.send(bytes(1000))


def say_sick(connection: Connection) -> None:
    connection.receive_until(b"\r\n\r\n")
    connection.send(response(status="500 Sick"))


def say_well(connection: Connection) -> None:
    connection.receive_until(b"\r\n\r\n")
    connection.send(response())


# ---- outside any block ---------------------------------------------------------------------------

def serves_b3(w: World) -> None:
    assert w.names(1, port=SECOND_PORT) == ["b3"]


def answers_control(w: World) -> None:
    assert w.switch.control_socket.is_socket() and w.switch.show_json("stats")


def echoes(w: World) -> None:
    connection = w.connect(b"hello", port=7)
    assert connection.receive_exactly(5) == b"hello"


def writes_events(w: World) -> None:
    w.switch.ask("drain", NAME1)
    w.wait(lambda: w.log.exists() and "\n" in w.log.read_text())
    assert json.loads(w.log.read_text())["event"] == "server_draining"


class BesideAWire(Switch):
    """Its machine has two more interfaces: what their other ends say goes through it."""

    WIRE = ("wire1", "wire2")

    def start(self) -> None:
        for name in self.WIRE:
            self.lab.run("fairlead", ["ip", "link", "add", name, "type", "veth", "peer", "name",
                                      f"{name}-peer"])
            self.lab.run("fairlead", ["sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1"])
            self.lab.run("fairlead", ["ip", "link", "set", name, "up"])
        super().start()

    def stop(self, *number) -> int:
        try:
            return super().stop(*number)
        finally:
            for name in self.WIRE:
                self.lab.run("fairlead", ["ip", "link", "delete", name])


def carries_frames(w: World) -> None:
    """An interface that comes up with IPv6 speaks by itself."""
    w.lab.run("fairlead", ["ip", "link", "set", "wire2-peer", "up"])
    w.lab.run("fairlead", ["ip", "link", "set", "wire1-peer", "up"])
    carried = lambda: w.switch.show_json("stats")["aggregators"][0]["counters"]["packets_out"]
    wait_until(lambda: carried() > 0, what="frame from wire1 to wire2")
    w.names(1)


def uses_interfaces(w: World) -> None:
    w.names(1)
    received = {port["name"]: port["rx_packets"] for port in w.switch.show_json("stats")["ports"]}
    assert set(received) == {"fairlead", "server1"} and all(received.values())


def uses_local_ports(w: World) -> None:
    held = w.connect(request("/name"))
    read_response(held)
    assert 50000 <= int(w.sessions()[0]["local"].split(":")[1]) <= 50099


def logs_no_info(w: World) -> None:
    w.names(1)
    assert w.switch.process.output == ""


def bounds_buffers(w: World) -> None:
    held = [w.connect(request()) for _ in range(16)]  # and nobody reads
    w.wait(lambda: w.stack("buffer_bytes") > 800_000)
    time.sleep(0.2)
    assert w.stack("buffer_bytes") <= 1 << 20 and len(held) == 16


def assert_syns_are_dropped(w: World) -> None:
    """One client more: its SYN is not answered, by the kernel's programs neither."""
    w.wait(lambda: w.counter("setup_pauses") == 1)
    with pytest.raises(TimeoutError):
        connect(w.lab, PORT, timeout=0.5)


def assert_served_again(w: World, held: list[Connection]) -> None:
    for connection in held:
        connection.raw.close()
    assert w.names(1)


def bounds_connections_of_the_stack(w: World) -> None:
    held = [w.connect(request("/name")) for _ in range(2)]
    assert [read_response(connection)[0] for connection in held] == [200, 200]
    assert_syns_are_dropped(w)
    assert w.counter("drop_no_connection_slot") > 0


def serves_metrics(w: World) -> None:
    w.names(1)
    text = w.lab.run("fairlead", ["curl", "-sSf", "http://127.0.0.1:9464/metrics"]).stdout
    assert "\nfairlead_switch_requests_total 1\n" in text


def pauses_after_packets(w: World) -> None:
    def pauses() -> int:
        return w.switch.show_json("stats")["shards"][0]["pauses"]
    before, start = pauses(), time.monotonic()
    assert w.names(20)
    # One after the other: the client, and the server, are answered after a pause each.
    assert time.monotonic() - start > 20 * 0.002
    assert pauses() - before >= 20


def has_two_shards(w: World) -> None:
    assert len(w.switch.show_json("stats")["shards"]) == 2
    assert w.names(6)


def uses_newreno(w: World) -> None:
    read_response(held := w.connect(request("/name")))
    rows = w.switch.show_json("tcp")["connections"]
    assert len(rows) == 2 and {row["congestion"] for row in rows} == {"newreno"}
    held.raw.close()


# ---- virtual_server ------------------------------------------------------------------------------

def believes_proxy_header(w: World) -> None:
    header = f"PROXY TCP4 203.0.113.7 {FAIRLEAD_ADDRESS['ipv4']} 4711 80\r\n".encode()
    read_response(held := w.connect(header + request("/name")))
    assert w.sessions()[0]["client"] == "203.0.113.7:4711"
    held.raw.close()


def writes_access_log(w: World) -> None:
    w.names(1)
    w.wait(lambda: w.log.exists() and "\n" in w.log.read_text())
    assert '"GET /name HTTP/1.1" 200 ' in w.log.read_text()


def tells_client_in_header(w: World) -> None:
    assert f"xff={CLIENT_ADDRESS['ipv4']} " in w.seen(request("/seen"))


def tells_client_in_proxy_header(w: World) -> None:
    assert f"proxy={CLIENT_ADDRESS['ipv4']} " in w.seen(request("/seen"))


def balances_requests(w: World) -> None:
    held, met = w.connect(), set()
    for _ in range(3):
        held.send(request("/name"))
        met.add(read_response(held)[1]["x-backend"])
    assert met == {"b1", "b2", "b3"}


def listens_twice(w: World) -> None:
    assert w.names(1) and w.names(1, port=SECOND_PORT)


def drops_clients_beyond_backlog(w: World) -> None:
    # One is served, one has been accepted and waits for that, one is in the queue.
    held = []
    for count in range(1, 4):
        held.append(w.connect())
        w.wait(lambda n=count: w.stack("connections") == n)
    assert_syns_are_dropped(w)
    assert w.counter("drop_accept_queue_full") > 0
    assert_served_again(w, held)


def lets_second_client_wait(w: World) -> None:
    first, second = w.connect(request("/name")), w.connect(request("/name"))
    read_response(first)
    second.raw.settimeout(0.3)
    with pytest.raises(TimeoutError):
        second.receive()
    first.raw.close()
    second.raw.settimeout(SOON)
    assert read_response(second)[0] == 200


def refuses_longer_head(w: World) -> None:
    assert w.ask(request("/name"))[0] == 200
    assert w.ask(request("/name", f"X-Long: {'x' * 2000}\r\n"))[0] == 431


def chooses_at_once(w: World) -> None:
    held = w.connect()
    w.wait(lambda: w.sessions()[0]["server"] != "")
    held.raw.close()


def seats_become(w: World, expected: list[str]) -> None:
    """Where the connections of clients run that have had an answer each and stay."""
    held = [w.connect(request("/name")) for _ in expected]
    for connection in held:
        read_response(connection)
    w.wait(lambda: sorted(session["seat"] for session in w.sessions()) == expected)
    for connection in held:
        connection.raw.close()


def relays(w: World) -> None:
    seats_become(w, ["host", "host"])
    assert w.counter("spliced") == 0


def shakes_hands_by_itself(w: World) -> None:
    w.names(1)
    assert not any(w.switch.show_json("stats")["setup"].values())


def leaves_closing_to_the_nic_stack(w: World) -> None:
    w.names(1)
    w.wait(lambda: w.switch.show_json("stats")["teardown"]["counters"]["taken"] > 0)


def splices_in_the_process(w: World) -> None:
    seats_become(w, ["user", "user"])
    assert w.counter("spliced") == 2


def has_room_for_one_splice(w: World) -> None:
    seats_become(w, ["host", "tc"])  # the other stays relayed


def sends_b2_what_matches(w: World) -> None:
    """A request for host two.example.org and /name, with X-Pool: two."""
    assert w.names(2, request("/name", "X-Pool: two\r\n", host="two.example.org")) == ["b2", "b2"]
    assert w.names(2, request("/64", host="one.example.org")) == ["b1", "b1"]


def tls_name(w: World, host: str, protocol: str) -> str:
    """Which backend answers over TLS."""
    context = ssl._create_unverified_context()  # pylint: disable=protected-access
    context.set_alpn_protocols([protocol, "http/1.1"])
    connection = w.connect()
    secure = Connection(context.wrap_socket(connection.raw, server_hostname=host))
    secure.send(request("/name"))
    return read_response(secure)[1]["x-backend"]


def sends_b2_tls_that_matches(w: World) -> None:
    """A ClientHello for two.example.org that offers "two"."""
    assert tls_name(w, "two.example.org", "two") == "b2"
    assert tls_name(w, "one.example.org", "one") == "b1"


# ---- schedules -----------------------------------------------------------------------------------

def takes_turns(w: World) -> None:
    order = w.names(6)
    assert order[:3] == order[3:] and sorted(order[:3]) == ["b1", "b2", "b3"]


def serves_b1_three_times_of_four(w: World) -> None:
    assert sorted(w.names(8)) == ["b1"] * 6 + ["b2"] * 2


def avoids_busy_server(w: World) -> None:
    """The first server never answers, the second is b2."""
    w.switch.ask("drain", NAME2)
    held = w.connect(request())
    w.servers[0].wait_for_connections(1)
    w.switch.ask("enable", NAME2)
    for _ in range(4):
        assert w.names(1) == ["b2"]
        w.wait(lambda: w.switch.servers()[NAME2]["active"] == 0)
    held.raw.close()


def keeps_three_times_as_many(w: World) -> None:
    """Two servers that never answer, of weights 3 and 1."""
    held = []
    for count in range(1, 9):
        held.append(w.connect(request()))
        w.wait(lambda n=count: sum(len(server.connections) for server in w.servers) == n)
    assert [len(server.connections) for server in w.servers] == [6, 2]


def same_source_same_server(w: World) -> None:
    assert len(set(w.names(6))) == 1


def hashes(make):
    """make(value): a request that has the value which is hashed."""

    def proof(w: World) -> None:
        assert len(set(w.names(4, make("anna")))) == 1
        assert len({w.names(1, make(f"user{i}"))[0] for i in range(12)}) > 1

    return proof


# ---- timeouts ------------------------------------------------------------------------------------

def rests_after_reset(w: World) -> None:
    assert w.connect(request()).receive_to_end() == b""
    assert w.stack("time_wait") == 1


def ends_half_closed(w: World) -> None:
    held = w.connect(b"hello")
    w.servers[0].wait_for_connections(1)
    held.raw.shutdown(socket.SHUT_WR)
    w.wait(lambda: w.counter("idle_timeouts") == 1 and w.sessions() == [])


def ends_idle(w: World) -> None:
    read_response(held := w.connect(request("/name")))
    w.wait(lambda: w.counter("idle_timeouts") == 1 and w.sessions() == [])
    assert held.receive() == b""


def ends_unanswered_fin(w: World) -> None:
    assert w.ask()[0] == 200
    w.wait(lambda: "FIN-WAIT-2" in w.states())
    w.wait(lambda: w.states() == [])


def ends_unacknowledged_last_fin(w: World) -> None:
    held = w.connect(b"hello")
    w.servers[0].wait_for_connections(1)
    held.raw.shutdown(socket.SHUT_WR)
    w.wait(w.servers[0].connections[0].ended.is_set)
    # Within the time the server takes: from here on nothing comes from the client.
    unreachable = ["blackhole", f"{FAIRLEAD_ADDRESS['ipv4']}/32"]
    w.lab.run("client", ["ip", "route", "add", *unreachable])
    try:
        w.wait(lambda: "LAST-ACK" in w.states())
        w.wait(lambda: "LAST-ACK" not in w.states())
        assert w.counter("connections_timed_out") == 1
    finally:
        w.lab.run("client", ["ip", "route", "del", *unreachable])


def refuses_late_head(w: World) -> None:
    held = w.connect(b"GET / HTT")
    held.raw.settimeout(SOON)
    assert read_response(held)[0] == 408


def answers_for_silent_server(w: World) -> None:
    held = w.connect(request())
    held.raw.settimeout(SOON)
    assert read_response(held)[0] == 504


def ends_handshake(w: World) -> None:
    here, nobody = FAIRLEAD_ADDRESS["ipv4"], "198.18.0.77"  # who does not answer, not even by RST
    syn = IP(src=nobody, dst=here) / TCP(sport=4711, dport=PORT, flags="S")
    with w.lab.entered("client"):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw:
        raw.sendto(bytes(syn), (here, 0))
    w.wait(lambda: w.states() == ["SYN-RECEIVED"])
    w.wait(lambda: w.states() == [])


def rests_after_close(w: World) -> None:
    w.names(1)
    w.wait(lambda: w.counter("time_wait_entered") > 0 and w.states() == [])
    w.wait(lambda: w.stack("time_wait") == 0)


# ---- real_server, health_check -------------------------------------------------------------------

def only_b2(w: World) -> None:
    assert w.names(3) == ["b2"] * 3


def first_goes_down(w: World) -> None:
    w.wait(lambda: [server["up"] for server in w.switch.servers().values()] == [False, True])


def passes_over_full_server(w: World) -> None:
    held = [w.connect(request("/name")) for _ in range(2)]
    assert sorted(read_response(one)[1]["x-backend"] for one in held) == ["b1", "b2"]
    only_b2(w)


def failures_do_not_suffice(w: World) -> None:
    w.wait(lambda: w.counter("health_checks_failed") >= 10)
    assert all(server["up"] for server in w.switch.servers().values())


def successes_do_not_suffice(w: World) -> None:
    first_goes_down(w)
    w.servers[0].script = say_well
    good = lambda: w.counter("health_checks") - w.counter("health_checks_failed")
    before = good()
    w.wait(lambda: good() >= before + 10)
    first_goes_down(w)


def checks_often(w: World) -> None:
    w.wait(lambda: w.counter("health_checks") >= 10)


def waits_for_answer(w: World) -> None:
    w.servers[0].wait_for_connections(1)
    time.sleep(1.2)  # the default is 1 s
    assert w.counter("health_checks") == 0
