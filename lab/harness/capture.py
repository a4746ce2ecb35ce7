"""Captures on an interface of the lab (tcpdump), and what tshark makes of them."""

import collections
import re
import signal
import time
from pathlib import Path

from harness.lab import Lab
from harness.process import run


class Capture:
    """Everything that passes `interface` and matches `expression`, until stop()."""

    def __init__(self, lab: Lab, host: str, interface: str, expression: str, file: Path):
        self.file = file
        self.process = lab.start(
            host,
            # As root (-Z) to write where the test's files are; 64 MiB so that none is lost.
            ["tcpdump", "-i", interface, "-n", "-s", "0", "-B", "65536", "-Z", "root", "-w", file,
             expression],
            file.with_suffix(".log"))
        self.process.wait_for("listening on")

    def stop(self) -> int:
        """Number of packets captured. None may have been lost."""
        time.sleep(1.2)  # the kernel hands packets over when a block is full, or a second old
        self.process.stop(signal.SIGINT)
        lost = int(re.search(r"^(\d+) packets? dropped by kernel", self.process.output, re.M)[1])
        assert lost == 0, f"the capture lost {lost} packets"
        return int(re.search(r"^(\d+) packets? captured", self.process.output, re.M)[1])


RST = "(tcp[tcpflags] & tcp-rst != 0 or (ip6 proto 6 and ip6[53] & 4 != 0))"


def tshark(file: Path, *options: str) -> str:
    preferences = {
        "tcp.check_checksum": "TRUE",
        "ip.check_checksum": "TRUE",
        # Payload is random: nobody shall see another protocol in it than the port's.
        "tcp.try_heuristic_first": "FALSE",
    }
    # Port 9 has no dissector of its own; the client's port might name one.
    decode = ["-d", "tcp.port==9,echo"]
    settings = [word for name, value in preferences.items() for word in ("-o", f"{name}:{value}")]
    return run(["tshark", "-n", "-r", file, *decode, *settings, *options], timeout=300).stdout


def closed_otherwise(file: Path) -> list[frozenset[str]]:
    """The pairs of ports between which not both ends have sent FIN, or one has sent RST before. A RST
    behind both FINs is of a client that uses its port again while the other's FIN is under way."""
    seen = collections.defaultdict(set)
    for line in tshark(file, "-Y", "tcp", "-T", "fields", "-e", "tcp.srcport", "-e", "tcp.dstport",
                       "-e", "tcp.flags.fin", "-e", "tcp.flags.reset").splitlines():
        source, destination, fin, reset = line.split()
        ends = seen[frozenset((source, destination))]
        if fin == "1":
            ends.add(source)
        if reset == "1" and len(ends) < 2:
            ends.add("RST")
    return [ports for ports, ends in seen.items() if ends != ports]


def expert_messages(file: Path) -> dict[tuple[str, str], int]:
    """How often tshark's expert says what: {("Warn", "TCP Zero Window segment"): 3}."""
    counts: dict[tuple[str, str], int] = {}
    severity = ""
    for line in tshark(file, "-q", "-z", "expert").splitlines():
        if heading := re.match(r"(Error|Warn|Note|Chat)s \(\d+\)", line):
            severity = heading[1]
        elif row := re.match(r"\s+(\d+)\s+\S+\s+\S+\s+(.*)", line):
            counts[severity, row[2].strip()] = int(row[1])
    return counts
