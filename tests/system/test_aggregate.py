"""`fairlead aggregate` on captures of real traffic: what it writes is legal TCP in tshark's opinion,
carries the same bytes, and is far fewer packets."""

import hashlib
import json
import random
import struct
from collections import defaultdict
from pathlib import Path

import pytest
from harness.capture import Capture, tshark
from harness.client import assert_flawless, assert_intact
from harness.lab import CLIENT_ADDRESS, FAIRLEAD_ADDRESS, FAMILIES
from harness.loss import loss
from harness.process import run
from harness.servers import DISCARD, ECHO, KernelServer

MIB = 1 << 20
FULL = 43  # packets of 1500 bytes in 64 KiB
# An interface in a namespace hands on packets in bursts; a bulk of 64 KiB spans a few of them.
PATIENT = ("--ag-timer", 20_000)


@pytest.fixture
def kernel_server(plain_lab, binaries, tmp_path):
    running = KernelServer(plain_lab, binaries, tmp_path)
    yield running
    running.stop()


@pytest.fixture
def captured(plain_lab, client, kernel_server, tmp_path):
    """Runs the client while what arrives at the server is captured, with all checksums as on the
    wire; the capture's path."""

    def capture(*traffic) -> Path:
        file = tmp_path / "in.pcap"
        running = Capture(plain_lab, "client", "client", "tcp", file)
        for mode, family, port, connections, size in traffic:
            report = client.run(mode, family, port, "--bytes", size, "--connections", connections)
            if mode == "echo":
                assert_intact(report, connections, size)
            else:
                assert_flawless(report, connections)
        running.stop()
        return file

    return capture


@pytest.fixture
def aggregated(binaries, tmp_path):
    """What the command makes of a capture, checked: its path, and what it has printed."""
    given = {}  # the streams of each capture

    def aggregate(file: Path, *options) -> tuple[Path, dict]:
        out = tmp_path / "out.pcap"
        report = json.loads(run([binaries / "src/app/fairlead", "aggregate", file, out, "--json",
                                 *options]).stdout)
        assert report["counters"]["simple_bad_checksum"] == 0
        packets = dissected(out)
        assert_legal(packets, report["packets_out"])
        if file not in given:
            given[file] = streams(dissected(file))
        assert streams(packets) == given[file]
        return out, report

    return aggregate


ADDRESSING = ("ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport")
FIELDS = (*ADDRESSING, "tcp.seq", "tcp.payload", "_ws.malformed", "ip.checksum.status",
          "tcp.checksum.status", "tcp.checksum")
BAD, GOOD = "0", "1"  # of a checksum.status


def dissected(file: Path) -> list[dict[str, str]]:
    """Of every packet what tshark says of it; "" is a field it does not have."""
    words = [word for field in FIELDS for word in ("-e", field)]
    return [dict(zip(FIELDS, line.split("\t"), strict=True))
            for line in tshark(file, "-T", "fields", *words).splitlines()]


def assert_legal(packets: list[dict[str, str]], expected: int) -> None:
    assert len(packets) == expected
    for packet in packets:
        assert packet["_ws.malformed"] == "" and packet["ip.checksum.status"] != BAD, packet
        # Linux sometimes writes 0xffff where RFC 1624 §3 wants 0: what passes unmerged keeps it.
        assert packet["tcp.checksum.status"] == GOOD or packet["tcp.checksum"] == "0xffff", packet


def streams(packets: list[dict[str, str]]) -> dict:
    """Each direction's bytes in order of sequence: {(source, port, destination, port): hash}."""
    segments = defaultdict(dict)
    for packet in packets:
        flow = tuple(packet[field] for field in ADDRESSING)
        seq, content = int(packet["tcp.seq"]), bytes.fromhex(packet["tcp.payload"])
        # The longest: a segment that began an aggregate may have been sent again.
        if len(content) > len(segments[flow].get(seq, b"")):
            segments[flow][seq] = content
    out = {}
    for flow, parts in segments.items():
        if not parts:
            continue
        digest, at = hashlib.sha256(), min(parts)
        for seq in sorted(parts):
            part = parts[seq][max(0, at - seq):]
            assert seq <= at, f"a hole in {flow} at {at}"
            digest.update(part)
            at += len(part)
        out[flow] = digest.hexdigest()
    return out


def largest(file: Path) -> int:
    """Segments in the largest packet, of 1448 bytes or more each."""
    sizes = tshark(file, "-T", "fields", "-e", "tcp.len").split()
    return -(-max(map(int, sizes)) // 1448)


def records(file: Path) -> list[tuple[bytes, bytes]]:
    """Of a capture: the time of each packet, and its frame."""
    raw = file.read_bytes()
    packets, at = [], 24
    while at < len(raw):
        size = struct.unpack_from("<I", raw, at + 8)[0]
        packets.append((raw[at:at + 8], raw[at + 16:at + 16 + size]))
        at += 16 + size
    return packets


def write_records(like: Path, name: str, packets) -> Path:
    out = like.with_name(name)
    out.write_bytes(like.read_bytes()[:24] + b"".join(
        stamp + struct.pack("<II", len(frame), len(frame)) + frame for stamp, frame in packets))
    return out


def tagged(file: Path, vlan: int) -> Path:
    """The capture with every frame in this VLAN."""
    tag = struct.pack(">HH", 0x8100, vlan)
    return write_records(file, "tagged.pcap", [(stamp, frame[:12] + tag + frame[12:])
                                               for stamp, frame in records(file)])


def reordered(file: Path, share: float) -> Path:
    """The capture with this share of packets overtaken by one to three others."""
    packets = records(file)
    lots = random.Random(1)
    place = [i + (lots.randint(1, 3) + 0.5 if lots.random() < share else 0)
             for i in range(len(packets))]
    order = sorted(range(len(packets)), key=place.__getitem__)
    return write_records(file, "reordered.pcap", [(stamp, packets[i][1])
                                                  for (stamp, _), i in zip(packets, order)])


def one_way(file: Path, family: str) -> Path:
    """Only what the client sends."""
    out = file.with_name("one_way.pcap")
    field = "ip.src" if family == "ipv4" else "ipv6.src"
    run(["tshark", "-n", "-r", file, "-Y", f"{field} == {CLIENT_ADDRESS[family]}", "-F", "pcap", "-w",
         out])
    return out


@pytest.mark.parametrize("stamps", (1, 0), ids=("timestamps", "plain"))
def test_bulk_leaves_in_full_packets(plain_lab, captured, aggregated, family, stamps):
    plain_lab.run("client", ["sysctl", "-qw", f"net.ipv4.tcp_timestamps={stamps}"])
    try:
        file = captured(("upload", family, DISCARD, 1, 16 * MIB))
    finally:
        plain_lab.run("client", ["sysctl", "-qw", "net.ipv4.tcp_timestamps=1"])
    out, _ = aggregated(file, *PATIENT, "--psh", "carry")
    assert largest(out) >= FULL
    _, report = aggregated(one_way(file, family), *PATIENT, "--psh", "carry")
    # 64 KiB, as the client writes them, are 45 full segments and a short one by itself.
    assert report["ratio"] >= 20
    assert report["delay_us"]["max"] <= 20_000


def test_bulk_of_an_ordinary_client(plain_lab, aggregated, tmp_path):
    """iperf3, which has Nagle's algorithm on: no short segments between its writes. Defaults."""
    file = tmp_path / "in.pcap"
    server = plain_lab.start("fairlead", ["iperf3", "-s", "-1", "--forceflush"],
                             tmp_path / "iperf3.log")
    server.wait_for("listening")
    running = Capture(plain_lab, "client", "client", "tcp", file)
    plain_lab.run("client", ["iperf3", "-c", FAIRLEAD_ADDRESS["ipv4"], "-n", "64M"])
    running.stop()
    server.stop()
    _, report = aggregated(one_way(file, "ipv4"))
    print(f"packets per aggregate: {report['ratio']:.1f}")
    assert report["ratio"] >= 30


def test_what_is_lost_is_sent_again_and_every_byte_kept(plain_lab, captured, aggregated):
    with loss(plain_lab, "client", 0.01):
        # An upload's last bytes may still be on their way when the client has ended.
        file = captured(("echo", "ipv4", ECHO, 1, 2 * MIB))
    assert tshark(file, "-Y", "tcp.analysis.retransmission") != ""
    _, report = aggregated(file)
    assert report["counters"]["held"] > 0  # what came behind a hole
    assert report["counters"]["aggregates"] > 0


def test_tagged_frames_are_merged_behind_their_tags(captured, aggregated):
    file = one_way(captured(("upload", "ipv4", DISCARD, 1, 4 * MIB)), "ipv4")
    _, plain = aggregated(file, *PATIENT)
    out, report = aggregated(tagged(file, 7), *PATIENT)
    assert report["packets_out"] == plain["packets_out"]
    assert set(tshark(out, "-T", "fields", "-e", "vlan.id").split()) == {"7"}


def test_reordering_costs_little_where_in_order_only_collapses(captured, aggregated):
    sent = one_way(captured(("upload", "ipv4", DISCARD, 1, 16 * MIB)), "ipv4")
    file = reordered(sent, 0.05)
    _, held = aggregated(file, *PATIENT, "--psh", "carry")
    _, in_order_only = aggregated(file, *PATIENT, "--psh", "carry", "--hold", 0)
    print(f"packets per aggregate: {held['ratio']:.1f}; in order only {in_order_only['ratio']:.1f}")
    assert held["ratio"] >= 10
    assert in_order_only["ratio"] < 10


def test_interleaved_connections_and_requests_keep_every_byte(captured, aggregated):
    file = captured(*(("echo", family, ECHO, 16, 200_000) for family in FAMILIES),
                    *(("echo", family, ECHO, 30, 700) for family in FAMILIES))
    _, report = aggregated(file)
    assert report["delay_us"]["max"] <= 500
    assert report["counters"]["aggregates"] > 0
    assert report["packets_out"] < report["packets_in"]
    _, small = aggregated(file, "--table", 4)
    assert small["counters"]["simple_table_full"] > 0


def test_wrong_use_is_one_line(binaries, tmp_path):
    binary = binaries / "src/app/fairlead"
    junk = tmp_path / "junk"
    junk.write_text("this is not a capture, whatever its name says")
    for status, options in ((1, (tmp_path / "none", tmp_path / "out")), (1, (junk, tmp_path / "out")),
                            (1, (junk, junk)),
                            (2, (junk, tmp_path / "out", "--threshold", 65000))):
        done = run([binary, "aggregate", *options], check=False)
        assert done.returncode == status, done.stderr
        assert done.stdout == "" and len(done.stderr.splitlines()) == 1, done.stderr
    assert junk.read_text().startswith("this is not")
