"""What is on the wire is correct TCP, in tshark's opinion."""

import re

from harness.capture import Capture, expert_messages, tshark
from harness.client import assert_flawless, assert_intact
from harness.lab import FAMILIES
from harness.servers import CHARGEN, DISCARD, ECHO

MIB = 1 << 20

# Expert messages that do not report a violation, and why they come up here.
ALLOWED = [
    # Life of a connection.
    ("Chat", r"Connection (establish|finish)"),
    ("Note", r"This frame (initiates|undergoes) the connection closing"),
    # Flow control: the reader is slower than the writer for a moment, on one processor.
    ("Chat", r"TCP window update"),
    ("Warn", r"TCP window specified by the receiver is now completely full"),
    ("Warn", r"TCP Zero Window segment"),
    ("Note", r"TCP Zero Window Probe"),
    ("Note", r"ACK to a TCP Zero Window Probe"),
    # The client stops reading chargen by closing with bytes unread: RFC 2525 §2.17 asks for it.
    ("Warn", r"Connection reset \(RST\)"),
    # The kernel's, see below.
    ("Warn", r"TCP Checksum 0xffff instead of 0x0000"),
    # The client's port comes round again after TIME_WAIT was reused (RFC 6191).
    ("Note", r"A new tcp session is started with the same ports"),
]

# Legal on any path, but on one that loses nothing they must be rare: a tail loss probe or a timer
# that fires because the machine was busy (RFC 8985 §7), and the answers to it.
RARE = [
    ("Note", r"This frame is a \(suspected\) (spurious |fast )?retransmission"),
    ("Note", r"Duplicate ACK"),
    ("Warn", r"D-SACK Sequence"),
]
RARE_SHARE = 0.005  # fewer than one per connection of this run; a busy machine has 0.001


def matches(message, patterns) -> bool:
    severity, text = message
    return any(severity == s and re.match(pattern, text) for s, pattern in patterns)


def test_tshark_finds_no_fault_in_a_run(server, client, plain_lab, tmp_path):
    """Without offloads, so that every checksum in the capture is the one on the wire."""
    capture = Capture(plain_lab, "client", "client", "tcp", tmp_path / "run.pcap")
    for family in FAMILIES:
        assert_intact(client.run("echo", family, ECHO, "--bytes", 8 * MIB), 1, 8 * MIB)
        assert_intact(client.run("echo", family, ECHO, "--bytes", 20000, "--connections", 50), 50,
                      20000)
        assert_flawless(client.run("upload", family, DISCARD, "--bytes", 4 * MIB), 1)
        assert_flawless(client.run("download", family, CHARGEN, "--bytes", 4 * MIB), 1)
        assert_flawless(client.run("requests", family, ECHO, "--connections", 200,
                                   "--concurrency", 10), 200)
    packets = capture.stop()

    # Where an interface completes no checksums Linux does (skb_checksum_help()), a packet socket's too,
    # and writes 0xffff where RFC 1624 §3 has 0. Both are zero.
    bad = "tcp.checksum.status == Bad and tcp.checksum != 0xffff"
    assert tshark(capture.file, "-Y", f"_ws.malformed or ip.checksum.status == Bad or ({bad})") == ""
    checked = tshark(capture.file, "-Y", "tcp.checksum.status == Good or tcp.checksum == 0xffff",
                     "-T", "fields", "-e", "frame.number")
    assert len(checked.splitlines()) == packets

    messages = expert_messages(capture.file)
    violations = {m: n for m, n in messages.items() if not matches(m, ALLOWED + RARE)}
    assert violations == {}
    rare = sum(n for m, n in messages.items() if matches(m, RARE))
    assert rare <= packets * RARE_SHARE, messages
