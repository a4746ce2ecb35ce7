"""`aggregator { … }`: a bump in the wire. A kernel host behind it gets super-packets, and both hosts
notice nothing else."""

import socket
import struct
import time

import pytest
from harness.capture import Capture, tshark
from harness.client import Client, assert_flawless, assert_intact
from harness.lab import FAMILIES
from harness.process import run
from harness.servers import CHARGEN, DISCARD, ECHO, Fairlead, KernelServer
from harness.wire import WireLab

MIB = 1 << 20
ALL_PROTOCOLS = 3
SOL_PACKET, PACKET_AUXDATA = 263, 8
LATE = 0.3  # seconds: what a busy machine may add


@pytest.fixture(scope="module")
def wire_lab():
    made = WireLab("twire")
    yield made
    made.down()


class Wire(Fairlead):
    """The daemon in the wire's namespace."""

    def start(self) -> None:
        self.process = self.lab.start("wire", [self.binary, "run", "-c", self.config],
                                      self.scratch / "wire.log")
        self.process.wait_for("ready$")

    def statistics(self) -> dict:
        return self.show_json("stats")["aggregators"][0]


@pytest.fixture
def start_wire(wire_lab, binaries, tmp_path):
    started = []

    def start(inside: str = "") -> Wire:
        started.append(Wire(wire_lab, binaries, tmp_path,
                            f"aggregator {{ from from to to\n{inside} }}\n"))
        return started[-1]

    yield start
    assert [wire.stop() for wire in started] == [0]


@pytest.fixture
def kernel_host(wire_lab, binaries, tmp_path):
    running = KernelServer(wire_lab, binaries, tmp_path)
    yield running
    running.stop()


@pytest.fixture
def wired_client(wire_lab, binaries):
    return Client(wire_lab, binaries)


def segments_of_largest(file) -> int:
    return -(-max(map(int, tshark(file, "-T", "fields", "-e", "tcp.len").split())) // 1448)


def test_a_kernel_host_gets_super_packets(wire_lab, start_wire, kernel_host, wired_client, family,
                                          tmp_path):
    wire = start_wire("psh carry; ag_timer 5ms")
    file = tmp_path / "host.pcap"
    capture = Capture(wire_lab, "fairlead", "fairlead", "dst port 9", file)
    report = wired_client.run("upload", family, DISCARD, "--bytes", 64 * MIB)
    capture.stop()
    assert_flawless(report, 1)
    assert segments_of_largest(file) >= 43
    counters = wire.statistics()["counters"]
    print(f"{counters['packets_in']} packets in, {counters['packets_out']} out")
    assert counters["packets_in"] > 10 * counters["packets_out"]
    assert counters["dropped"] == 0


def test_every_byte_arrives_both_ways(start_wire, kernel_host, wired_client):
    wire = start_wire()
    for family in FAMILIES:
        assert_intact(wired_client.run("echo", family, ECHO, "--bytes", 8 * MIB, "--connections", 8),
                      8, 8 * MIB)
        assert_flawless(wired_client.run("download", family, CHARGEN, "--bytes", 32 * MIB), 1)
    statistics = wire.statistics()
    assert statistics["counters"]["aggregates"] > 0
    assert statistics["counters"]["simple_bad_checksum"] == 0
    assert statistics["back_packets"] > 0


def test_requests_do_not_wait(start_wire, kernel_host, wired_client):
    """PSH ends an aggregate: with an AgTimer of a second a thousand exchanges take their time all
    the same."""
    start_wire("ag_timer 1s")
    before = time.monotonic()
    report = wired_client.run("echo", "ipv4", ECHO, "--bytes", 100, "--connections", 200)
    assert_intact(report, 200, 100)
    assert time.monotonic() - before < 30


# ---- frame by frame ------------------------------------------------------------------------------


def one_s_complement(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def segment(sequence: int, payload: bytes, tag: int | None = None) -> bytes:
    """A frame of a connection that nobody has, to an address that nobody has."""
    link = bytes.fromhex("02000000000a02000000000b")
    link += b"" if tag is None else struct.pack(">HH", 0x8100, tag)
    addresses = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2")
    tcp = struct.pack(">HHIIBBHHH", 1, 2, sequence, 1, 0x50, 0x10, 500, 0, 0) + payload
    pseudo = addresses + struct.pack(">HH", 6, len(tcp))
    tcp = tcp[:16] + struct.pack(">H", one_s_complement(pseudo + tcp)) + tcp[18:]
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, 6, 0) + addresses
    ip = ip[:10] + struct.pack(">H", one_s_complement(ip)) + ip[12:]
    return link + b"\x08\x00" + ip + tcp


@pytest.fixture
def ends(wire_lab):
    """Packet sockets at both ends: the client's, to send, and the host's."""
    sockets = []
    for host in ("client", "fairlead"):
        with wire_lab.entered(host):
            sockets.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                         socket.htons(ALL_PROTOCOLS)))
        sockets[-1].bind((host, ALL_PROTOCOLS))
        sockets[-1].setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        sockets[-1].settimeout(5)
    yield sockets
    for each in sockets:
        each.close()


def receive(end: socket.socket, mark: bytes) -> tuple[bytes, list]:
    """The next frame with this in it."""
    while True:
        frame, control, *_ = end.recvmsg(65536, 256)
        if mark in frame:
            return frame, control


def test_the_timer_bounds_what_a_segment_waits(start_wire, ends):
    wire = start_wire("ag_timer 200ms")
    client, host = ends
    mark = b"timer" * 20
    before = time.monotonic()
    client.send(segment(1000, mark))
    client.send(segment(1100, mark))
    frame, _ = receive(host, mark)
    assert 0.15 < time.monotonic() - before < 0.2 + LATE
    assert frame.count(mark) == 2
    assert 190_000 <= wire.statistics()["delay_max_us"] <= 200_000 + LATE * 1e6


def test_what_is_no_tcp_and_what_is_tagged_goes_through(start_wire, ends):
    start_wire()
    client, host = ends
    odd = bytes.fromhex("02000000000a02000000000b88b5") + b"an experiment of IEEE 802" * 3
    client.send(odd)
    assert receive(host, b"experiment")[0] == odd
    host.send(odd.replace(b"experiment", b"experience"))
    assert b"experience" in receive(client, b"experience")[0]
    mark = b"tagged" * 100
    client.send(segment(5000, mark, tag=7))
    frame, control = receive(host, mark)
    # The kernel has taken the tag off, and says so; the checksum is left to its interface.
    expected = segment(5000, mark)
    assert frame[:50] + frame[52:] == expected[:50] + expected[52:]
    tags = [struct.unpack_from("=IIIHHHH", data)[5] for _, kind, data in control
            if kind == PACKET_AUXDATA]
    assert tags == [7]


def test_what_can_not_work_is_one_line(wire_lab, binaries, tmp_path):
    binary = binaries / "src/app/fairlead"
    for text, expected in (
            ("aggregator { from from to nowhere }", "interface nowhere: no such interface"),
            ("aggregator { from from to from }", "expected two different ones")):
        file = tmp_path / "bad.conf"
        file.write_text(text + "\n")
        done = run(wire_lab.inside("wire", [binary, "run", "-c", file]), check=False)
        assert done.returncode != 0
        assert expected in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
