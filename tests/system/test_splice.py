"""The life of splices: over a crash of the daemon, by the thousand, and where the kernel has no
place for them."""

import json
import os
import socket

import pytest
from harness.lab import CLIENT_ADDRESS, FAIRLEAD_ADDRESS
from harness.load import ab_failures
from harness.scripted import connect, read_response, request, wait_until
from harness.splicing import Download, SplicingSwitch, assert_transfers

MIB = 1 << 20
SHORT_TIME_WAIT = "splice early; timeout_timewait 1s"


@pytest.fixture(autouse=True)
def backends_are_there(backends):
    return backends


@pytest.fixture
def splicing(web_lab, binaries, tmp_path):
    """Starts a switch. It may end in the test."""
    started = []

    def start(seat: str, **options) -> SplicingSwitch:
        started.append(SplicingSwitch(web_lab, binaries, tmp_path, seat, **options))
        return started[-1]

    yield start
    for switch in started:
        assert not switch.process.running or switch.stop() == 0


def assert_nothing_is_left(switch: SplicingSwitch, timeout: float = 10) -> None:
    """Nothing of sessions that have ended: none in the switch, no connection, no rule."""
    wait_until(lambda: switch.splices()["open"] == 0, timeout, "the end of all splices")
    assert switch.sessions() == 0
    wait_until(lambda: switch.show_json("tcp")["total"] == 0, timeout, "the end of connections")
    if switch.seat != "user":
        assert switch.rules() == 0


# ---- kill -9 -------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [300 * MIB, pytest.param(1 << 30, marks=pytest.mark.soak)],
                         ids=["300 MiB", "1 GiB"])
def test_a_download_outlives_the_daemon_and_is_its_successors(web_lab, backends, splicing, traces,
                                                              tmp_path, size):
    backends.add_file("large", os.urandom(size))
    switch = splicing("tc", body=SHORT_TIME_WAIT)

    def only_session() -> dict:
        [session] = switch.show_json("connections")["sessions"]
        return session

    download = Download(switch, "ipv4", backends.files / "large", tmp_path / "download.log",
                        "--limit-rate", "100M")
    wait_until(lambda: switch.show_json("connections")["sessions"]
               and only_session()["seat"] == "tc", what="a splice")
    wait_until(lambda: only_session()["bytes_to_client"] > size / 20, what="some bytes")
    switch.process.popen.kill()
    switch.process.wait()
    assert switch.rules() == 2
    switch.start()
    session = only_session()
    assert session["seat"] == "tc" and session["client"].startswith(CLIENT_ADDRESS["ipv4"])
    assert size / 20 < session["bytes_to_client"] < size, "it is under way, and was counted"
    wait_until(lambda: only_session()["bytes_to_client"] > session["bytes_to_client"],
               what="more bytes")
    download.assert_intact()
    assert_nothing_is_left(switch)
    assert switch.splices()["counters"]["adopted"] == 1
    assert switch.stop() == 0
    assert not switch.pins.exists()
    traces.assert_none()


def test_a_successor_with_other_shards_and_another_seat_goes_on_with_them_in_the_process(web_lab,
                                                                                          splicing):
    """Where a server's packets come in there is no splice program any more, and by their hash half
    of them are another shard's than the client's."""
    switch = splicing("tc", body=SHORT_TIME_WAIT)
    clients = [connect(web_lab, switch.port) for _ in range(16)]

    def answers() -> list[int]:
        for client in clients:
            client.send(request("/64"))
        return [read_response(client)[0] for client in clients]

    assert answers() == [200] * len(clients)
    wait_until(lambda: switch.rules() == 2 * len(clients), what="splices")
    switch.process.popen.kill()
    switch.process.wait()
    successor = splicing("tc", body=SHORT_TIME_WAIT, more="shards 2\n", server_seat="user")
    assert successor.splices()["counters"]["adopted"] == len(clients)
    assert {row["seat"] for row in successor.show_json("connections")["sessions"]} == {"user"}
    assert 0 < successor.rules() < 2 * len(clients), "those that bring packets to their shard"
    assert answers() == [200] * len(clients)
    for client in clients:
        client.raw.close()
    assert_nothing_is_left(successor)


# ---- a client that has forgotten ----

SEND_SYN = """
import sys
from scapy.all import Ether, IP, TCP, sendp
mac, source, to, sport, dport = sys.argv[1:]
options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
sendp(Ether(dst=mac) / IP(src=source, dst=to) /
      TCP(sport=int(sport), dport=int(dport), flags="S", seq=1, options=options), iface="client",
      verbose=False)
"""


def test_a_syn_on_a_spliced_connection_is_for_the_splice(web_lab, splicing):
    """And not answered by the program that answers SYNs."""
    switch = splicing("tc")
    request = f"GET /64 HTTP/1.1\r\nHost: {FAIRLEAD_ADDRESS['ipv4']}\r\n\r\n".encode()

    def syns() -> tuple[int, int]:
        stats = switch.show_json("stats")
        return stats["setup"]["answered"], stats["splices"]["counters"]["syns_answered"]

    with web_lab.entered("client"):
        client = socket.create_connection((FAIRLEAD_ADDRESS["ipv4"], switch.port), timeout=10)
    with client:
        for expected in ((1, 0), (1, 1)):
            client.sendall(request)
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
            wait_until(lambda: switch.rules() == 2, what="a splice")
            assert syns() == expected
            [link] = json.loads(web_lab.run("fairlead", ["ip", "-j", "link", "show",
                                                         "fairlead"]).stdout)
            web_lab.run("client", ["/usr/bin/python3", "-c", SEND_SYN, link["address"],
                                   CLIENT_ADDRESS["ipv4"], FAIRLEAD_ADDRESS["ipv4"],
                                   client.getsockname()[1], switch.port])
            wait_until(lambda: syns() == (1, expected[1] + 1), what="an answer")


@pytest.mark.parametrize("seat", ["tc", "user"])
def test_a_client_may_use_its_port_again_at_once(web_lab, splicing, seat):
    """Behind a splice that is over, and stays for its last packets."""
    switch = splicing(seat)
    request = (f"GET /64 HTTP/1.1\r\nHost: {FAIRLEAD_ADDRESS['ipv4']}\r\n"
               "Connection: close\r\n\r\n").encode()
    for again in range(5):
        with web_lab.entered("client"):
            client = socket.socket()
        with client:
            client.settimeout(10)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind((CLIENT_ADDRESS["ipv4"], 33333))
            client.connect((FAIRLEAD_ADDRESS["ipv4"], switch.port))
            client.sendall(request)
            answer = b""
            while data := client.recv(4096):
                answer += data
            assert answer.startswith(b"HTTP/1.1 200 ")
        assert switch.splices()["counters"]["over_reused"] == again
        wait_until(lambda: switch.sessions() == 0, what="the end of the session")


# ---- short connections ---------------------------------------------------------------------------

@pytest.mark.parametrize("seat", ["tc", "user"])
@pytest.mark.parametrize(("count", "rounds"), [
    (1700, 3), pytest.param(40_000, 5, marks=pytest.mark.soak)])
def test_short_connections_leave_nothing_and_give_their_ports_back(web_lab, splicing, seat, count,
                                                                   rounds):
    """Each round needs nearly all ports."""
    first = 10_000
    switch = splicing(seat, body=SHORT_TIME_WAIT,
                      more=f"local_ports {first} {first + count + 100}\n")
    for done in range(1, rounds + 1):
        outcome = ab_failures(web_lab, switch.url("ipv4", "/64"), count, 50)
        assert outcome == {"complete": count, "failed": 0, "write": 0, "status": 0}
        switch.assert_spliced(done * count)
        assert_nothing_is_left(switch)


# ---- no place in the kernel ----------------------------------------------------------------------

HIDDEN = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/fs/bpf && exec "$@"', "sh"]


def test_without_a_bpf_file_system_splices_are_in_the_process(backends, splicing, tmp_path):
    switch = splicing("tc", before=HIDDEN)
    interfaces = switch.show_json("stats")["interfaces"]
    reason = "/sys/fs/bpf is not on a BPF file system"
    assert len(interfaces) == 2
    for row in interfaces:
        assert (row["seat_asked"], row["seat"]) == ("tc", "user")
        assert reason in row["seat_reason"]
    assert switch.process.output.count("seat tc was asked for") == 2
    assert reason in switch.process.output
    switch.seat = "user"
    assert_transfers(switch, backends, "ipv4", "1M", tmp_path)
    switch.assert_spliced(2)


@pytest.fixture
def jumbo_frames(web_lab):
    """Towards the client: of more than a page, which veth's XDP does not take."""

    def set_mtu(mtu: int) -> None:
        for end in ("client", "fairlead"):
            web_lab.run(end, ["ip", "link", "set", end, "mtu", mtu])

    set_mtu(9000)
    yield
    set_mtu(1500)


@pytest.mark.usefixtures("jumbo_frames")
def test_where_the_driver_can_not_the_kernels_generic_xdp_splices(backends, splicing, tmp_path):
    switch = splicing("xdp")
    [row] = [row for row in switch.show_json("stats")["interfaces"] if row["name"] == "fairlead"]
    assert (row["seat"], row["seat_attached"]) == ("xdp", "generic")
    assert "the driver's native xdp: " in row["seat_reason"]
    assert f"{row['seat_reason']}; seat xdp was asked for" in switch.process.output
    assert_transfers(switch, backends, "ipv4", "1M", tmp_path)
    switch.assert_spliced(2)
