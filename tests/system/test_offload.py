"""Handshakes and ends of connections by the NIC stack, with the kernel's clients."""

import itertools
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness.capture import Capture, closed_otherwise
from harness.client import assert_flawless, assert_intact
from harness.lab import FAIRLEAD_ADDRESS
from harness.loss import loss
from harness.scripted import wait_until
from harness.servers import ECHO, Fairlead, FairleadServer

OFFLOADED = "tcp { teardown_offload on }\n"
OPTIONS = ("timestamps", "sack", "window_scaling")
MIB = 1 << 20
OTHER = 1007  # a port
REQUEST = 64


@pytest.fixture
def offloaded(any_lab, binaries, tmp_path) -> FairleadServer:
    running = FairleadServer(any_lab, binaries, tmp_path, more=OFFLOADED)
    yield running
    assert running.stop() == 0


@pytest.fixture(params=[set(chosen) for n in range(4) for chosen in
                        itertools.combinations(OPTIONS, n)],
                ids=lambda chosen: "+".join(sorted(chosen)) or "none")
def options(request, lab) -> set:
    """What the client's SYNs offer."""
    def choose(wanted, ecn):
        lab.run("client", ["sysctl", "-qw", f"net.ipv4.tcp_ecn={ecn}",
                           *(f"net.ipv4.tcp_{name}={int(name in wanted)}" for name in OPTIONS)])
    choose(request.param, 1)
    yield request.param
    choose(OPTIONS, 2)


def test_clients_of_every_kind_are_served(offloaded, client, family, options):
    assert_flawless(client.run("requests", family, ECHO, "--connections", 300, "--concurrency", 20),
                    300)
    assert_intact(client.run("echo", family, ECHO, "--bytes", MIB), 1, MIB)
    stats = offloaded.show_json("stats")
    by_cookie = 301 if "timestamps" in options else 0
    assert stats["setup"]["new_connection"] == by_cookie, stats["setup"]
    assert stats["setup"]["up_no_timestamps"] == 301 - by_cookie
    assert stats["teardown"]["counters"]["closed"] > 200
    assert stats["teardown"]["active"] == 0


@pytest.mark.parametrize("general", ["on", "off"])
def test_a_server_says_otherwise_than_all_who_closes_its_connections(
        plain_lab, binaries, client, tmp_path, general):
    server = Fairlead(plain_lab, binaries, tmp_path, f"""
        interface fairlead
        tcp {{ teardown_offload {general} }}
        echo_server {FAIRLEAD_ADDRESS["ipv4"]} {ECHO}
        echo_server {FAIRLEAD_ADDRESS["ipv4"]} {OTHER} {{
            teardown_offload {"off" if general == "on" else "on"}
        }}""")
    taken = []
    for port in (ECHO, OTHER):
        assert_flawless(client.run("requests", "ipv4", port, "--connections", 20), 20)
        taken.append(server.show_json("stats")["teardown"]["counters"]["taken"])
    assert taken == ([20, 20] if general == "on" else [0, 20])
    assert server.stop() == 0


def wait_until_closed(server: FairleadServer) -> dict:
    """Nothing is left of any connection, in the host stack or in the NIC stack."""
    def left() -> int:
        return server.show_json("tcp")["total"] + server.show_json("stats")["teardown"]["active"]

    wait_until(lambda: left() == 0, 120)
    stats = server.show_json("stats")
    assert stats["teardown"]["held_bytes"] == 0
    return stats


def close_thousands_under_loss(lab, client, server, file: Path, connections: int) -> None:
    """All of them in good order, in tshark's opinion, too."""
    capture = Capture(lab, "fairlead", "fairlead", f"tcp port {ECHO}", file)
    with loss(lab, "client", 0.05):
        assert_flawless(client.run("requests", "ipv4", ECHO, "--connections", connections,
                                   "--concurrency", 1000, timeout=120), connections)
        wait_until_closed(server)
    capture.stop()
    assert closed_otherwise(file) == []


def test_under_loss_every_connection_is_closed_in_good_order(plain_lab, client, offloaded,
                                                             tmp_path):
    close_thousands_under_loss(plain_lab, client, offloaded, tmp_path / "loss.pcap", 3000)
    stats = wait_until_closed(offloaded)
    assert stats["teardown"]["counters"]["retransmitted_segments"] > 10
    assert stats["setup"]["new_connection"] >= 3000


@pytest.mark.soak
def test_a_million_connections_are_closed_in_good_order(plain_lab, client, offloaded, tmp_path):
    for _ in range(100):
        close_thousands_under_loss(plain_lab, client, offloaded, tmp_path / "loss.pcap", 10_000)


def resident_kib(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines()
                if line.startswith("VmRSS:"))
    return int(line.split()[1])


def is_served(lab) -> bool:
    """A client that tries for some seconds, as any does."""
    try:
        with lab.entered("client"):
            connection = socket.create_connection((FAIRLEAD_ADDRESS["ipv4"], ECHO), timeout=8)
        with connection:
            connection.sendall(b"hello")
            return connection.recv(5) == b"hello"
    except OSError:
        return False


def flood_of_plain_syns(lab, log):
    """Without timestamps: the host's own SYN queue has to stand it."""
    return lab.start("client", ["timeout", "11", "hping3", "-q", "-S", "--flood", "--rand-source",
                                "-p", ECHO, FAIRLEAD_ADDRESS["ipv4"]], log)


FLOOD = """
import random, socket, sys, time
from scapy.all import Ether, IP, TCP
to_mac, to, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
options = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
frames = [bytes(Ether(src="02:00:00:00:00:77", dst=to_mac) /
                IP(src=f"10.{random.randrange(256)}.{random.randrange(256)}.7", dst=to) /
                TCP(sport=random.randrange(1024, 65536), dport=port, seq=random.randrange(1 << 32),
                    flags="S", options=options)) for _ in range(2000)]
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(("client", 0))
end = time.monotonic() + 11
while time.monotonic() < end:
    for frame in frames:
        raw.send(frame)
"""


def flood_of_linux_syns(lab, log):
    link = json.loads(lab.run("fairlead", ["ip", "-j", "link", "show", "fairlead"]).stdout)
    mac = link[0]["address"]
    return lab.start("client", ["/usr/bin/python3", "-c", FLOOD, mac, FAIRLEAD_ADDRESS["ipv4"],
                                ECHO], log)


@pytest.mark.parametrize("flood, counter", [(flood_of_linux_syns, "answered"),
                                            (flood_of_plain_syns, "up_no_timestamps")])
def test_a_flood_of_syns_keeps_nobody_out(lab, offloaded, tmp_path, flood, counter):
    assert is_served(lab)
    pids = lab.run("fairlead", ["pgrep", "-f", f"fairlead run -c {offloaded.config}"]).stdout
    process = int(pids.split()[-1])
    before = resident_kib(process)
    flooding = flood(lab, tmp_path / "flood.log")
    with ThreadPoolExecutor(50) as pool:
        attempts = []
        for _ in range(100):
            attempts.append(pool.submit(is_served, lab))
            time.sleep(0.1)
        served = sum(attempt.result() for attempt in attempts)
    flooding.wait(timeout=30)
    stats = offloaded.show_json("stats")
    assert stats["setup"][counter] > 20_000, stats["setup"]
    assert served >= 0.99 * len(attempts), (served, stats["counters"])
    # Nothing is kept of those that are answered; 4,096 of the others may wait for their ACK.
    assert resident_kib(process) - before < (2 if counter == "answered" else 8) * 1024


# ---- at the kernel's seats -----------------------------------------------------------------------

@pytest.fixture
def peer_takes_xdp_frames(plain_lab):
    """veth sends what an XDP program sends back only to an end that receives by NAPI."""
    plain_lab.run("client", ["ethtool", "-K", "client", "gro", "on"])
    yield
    plain_lab.run("client", ["ethtool", "-K", "client", "gro", "off"])


SYNS = "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"


@pytest.mark.parametrize("seat, answered, seen", [("user", 0, 200), ("tc", 200, 200),
                                                  ("xdp", 200, 0)])
@pytest.mark.usefixtures("peer_takes_xdp_frames")
def test_syns_are_answered_where_splices_are(plain_lab, binaries, client, tmp_path, seat, answered,
                                             seen):
    """In XDP before a tap sees them."""
    server = FairleadServer(plain_lab, binaries, tmp_path, interface=f"seat {seat}")
    capture = Capture(plain_lab, "fairlead", "fairlead", f"tcp port {ECHO} and {SYNS}",
                      tmp_path / "syns.pcap")
    for family in ("ipv4", "ipv6"):
        assert_flawless(client.run("requests", family, ECHO, "--connections", 200, "--concurrency",
                                   10), 200)
    assert capture.stop() == seen
    stats = server.show_json("stats")
    [interface] = stats["interfaces"]
    assert (interface["setup_seat"], interface["setup_reason"]) == (seat, "")
    assert interface["counters"]["answered_syn"] == 2 * answered
    assert stats["setup"]["answered"] == stats["setup"]["new_connection"] == 400
    assert server.stop() == 0


@pytest.mark.parametrize("seat", ["user", "tc", "xdp"])
@pytest.mark.usefixtures("peer_takes_xdp_frames")
def test_a_connection_may_begin_with_the_first_data(plain_lab, binaries, client, tmp_path, seat):
    """The kernel drops the ACK before, where it answers SYNs."""
    server = Fairlead(plain_lab, binaries, tmp_path, "\n".join(
        [f"interface fairlead {{ seat {seat} }}"] +
        [f"echo_server {address} {ECHO} {{ setup_offload deferred }}"
         for address in FAIRLEAD_ADDRESS.values()]))
    for address in FAIRLEAD_ADDRESS.values():
        with plain_lab.entered("client"):
            silent = socket.create_connection((address, ECHO), timeout=8)
        with silent:
            time.sleep(0.2)
            assert server.show_json("tcp")["total"] == 0
            silent.sendall(b"hello")
            assert silent.recv(5) == b"hello"
            assert server.show_json("tcp")["total"] == 1
        wait_until(lambda: server.show_json("tcp")["total"] == 0, 20)
        with plain_lab.entered("client"):
            socket.create_connection((address, ECHO), timeout=8).close()
    for family in ("ipv4", "ipv6"):
        assert_flawless(client.run("requests", family, ECHO, "--connections", 200, "--concurrency",
                                   10), 200)
    stats = server.show_json("stats")
    [interface] = stats["interfaces"]
    assert stats["setup"]["new_connection"] == 404
    assert interface["counters"]["deferred_ack"] == (0 if seat == "user" else 404)
    assert stats["setup"]["deferred"] == (404 if seat == "user" else 0)
    assert server.stop() == 0


@pytest.mark.parametrize("first, answered, taken", [("client", 0, 400), ("server", 400, 0)])
@pytest.mark.parametrize("seat", ["user", "tc", "xdp"])
@pytest.mark.usefixtures("peer_takes_xdp_frames")
def test_connections_close_where_splices_are(plain_lab, binaries, client, tmp_path, seat, first,
                                             answered, taken):
    """The client's FIN acknowledges the server's where that came first, and nothing comes up."""
    server = FairleadServer(plain_lab, binaries, tmp_path, interface=f"seat {seat}",
                            more=OFFLOADED, limit=REQUEST if first == "server" else None)
    capture = Capture(plain_lab, "client", "client", f"tcp port {ECHO}", tmp_path / "closed.pcap")
    for family in ("ipv4", "ipv6"):
        assert_flawless(client.run("requests", family, ECHO, "--connections", 200, "--concurrency",
                                   10), 200)
    stats = wait_until_closed(server)
    capture.stop()
    assert closed_otherwise(tmp_path / "closed.pcap") == []
    [interface] = stats["interfaces"]
    assert (interface["teardown_seat"], interface["teardown_reason"]) == (seat, "")
    teardown = stats["teardown"]["counters"]
    assert teardown["closed"] == 400
    assert stats["teardown"]["time_wait"] == answered
    if seat == "user":
        answered = taken = 0
        assert teardown["segments_received"] == 400
    else:
        # A race with the program costs a packet that is sent again; most win it.
        assert teardown["segments_received"] < 40, teardown
        assert teardown["acked_in_kernel"] > 380
        assert teardown["closed_in_kernel"] >= 0.95 * answered
    assert abs(interface["counters"]["answered_fin"] - answered) < 20
    assert abs(interface["counters"]["closing_ack"] - taken) < 20
    assert server.stop() == 0


@pytest.mark.parametrize("seat", ["tc", "xdp"])
@pytest.mark.usefixtures("peer_takes_xdp_frames")
def test_nobody_answers_for_a_daemon_that_died(plain_lab, binaries, client, tmp_path, seat):
    server = FairleadServer(plain_lab, binaries, tmp_path, interface=f"seat {seat}")
    server.process.popen.kill()
    server.process.wait()
    with plain_lab.entered("client"), pytest.raises(ConnectionRefusedError):
        socket.create_connection((FAIRLEAD_ADDRESS["ipv4"], ECHO), timeout=8)
    server.start()
    assert_flawless(client.run("requests", "ipv4", ECHO, "--connections", 20, "--concurrency", 2),
                    20)
    assert server.stop() == 0


def closing_client(lab) -> socket.socket:
    """Of an echo server which closes first, and has."""
    with lab.entered("client"):
        connection = socket.create_connection((FAIRLEAD_ADDRESS["ipv4"], ECHO), timeout=8)
    connection.sendall(bytes(REQUEST))
    received = b""
    while data := connection.recv(REQUEST):
        received += data
    assert received == bytes(REQUEST)
    return connection


@pytest.mark.parametrize("seat", ["tc", "xdp"])
@pytest.mark.usefixtures("peer_takes_xdp_frames")
def test_nobody_closes_for_a_daemon_that_died(plain_lab, binaries, tmp_path, seat):
    server = FairleadServer(plain_lab, binaries, tmp_path, interface=f"seat {seat}",
                            more=OFFLOADED, limit=REQUEST)
    resets = Capture(plain_lab, "client", "client", f"tcp src port {ECHO} and "
                     "tcp[tcpflags] & tcp-rst != 0", tmp_path / "resets.pcap")
    closing_client(plain_lab).close()
    wait_until(lambda: server.show_json("stats")["teardown"]["time_wait"] == 1, 10)
    connection = closing_client(plain_lab)
    server.process.popen.kill()
    server.process.wait()
    connection.close()
    time.sleep(1)
    assert resets.stop() == 1
