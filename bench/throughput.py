#!/usr/bin/python3
"""Fairlead against the kernel's TCP: the same services, the same client, the same lab, one run.

    bench/throughput.py [--binaries build/release] [--repetitions 5] [--quick]

    bench-client: stream_client ── veth ── bench-fairlead: fairlead    ports 7 9 19      processor 0
    (processor 1)                                          kernel_echo ports 1007 1009 1019   "

Repetitions alternate between the two servers, so that what else happens on the machine meets both;
the table has medians. Both servers are up all the time: the one that is not measured sleeps.

A veth has no hardware: what a receiver does in interrupts happens on the sender's processor, unless
the lab is told otherwise. So each processor's work includes some for the other side, and how busy
both were is part of the result. CPU is what the server's process used, in nanoseconds per byte or
microseconds per connection or request.
"""

import argparse
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE / "lab"))

# pylint: disable=wrong-import-position
from harness.client import Client
from harness.lab import Lab
from harness.machine import busy_seconds, print_machine, process_seconds
from harness.servers import CHARGEN, DISCARD, ECHO, FairleadServer, KernelServer

KERNEL_PORTS = 1000  # added
SERVER_PROCESSOR, CLIENT_PROCESSOR = 0, 1
GIB = 1 << 30


@dataclass
class Case:
    """One line of the table."""

    name: str
    arguments: tuple
    value: callable  # of the client's report
    unit: str
    work: callable = None  # of the report: by what CPU time is divided, and multiplied
    lower_is_better: bool = False


def bulk(name: str, mode: str, family: str, port: int, size: int) -> Case:
    return Case(name, (mode, family, port, "--bytes", size, "--no-verify"),
                lambda report: report["gigabytes_per_second"], "GB/s",
                lambda report: max(report["bytes_sent"], report["bytes_received"]) / 1e9)


def cases(quick: bool) -> list[Case]:
    size = GIB if quick else 8 * GIB
    count = 10_000 if quick else 100_000
    found = []
    for family, name in (("ipv4", "IPv4"), ("ipv6", "IPv6")):
        found += [
            bulk(f"sink (discard), {name}", "upload", family, DISCARD, size),
            bulk(f"source (chargen), {name}", "download", family, CHARGEN, size),
            bulk(f"echo, each way, {name}", "echo", family, ECHO, size),
        ]
    short = ("requests", "ipv4", ECHO, "--connections", count, "--concurrency", 100)
    found.append(Case("connection, 64 B echo, close; 100 at a time", short,
                      lambda report: report["connections_per_second"] / 1e3, "k/s",
                      lambda report: report["connections"] / 1e6))
    one = ("requests", "ipv4", ECHO, "--requests", count)
    for quantile, title in (("p50", "median"), ("p99", "99th percentile")):
        found.append(Case(f"64 B echo on one connection, {title}", one,
                          lambda report, q=quantile: report["request_microseconds"][q], "µs",
                          lambda report: report["requests"] / 1e6, lower_is_better=True))
    return found


@dataclass
class Measurement:
    values: list = field(default_factory=list)
    cpu: list = field(default_factory=list)
    server_busy: list = field(default_factory=list)  # share of the time, by processor
    client_busy: list = field(default_factory=list)

    def take(self, case: Case, client: Client, server, add_to_port: int) -> None:
        mode, family, port, *options = case.arguments
        pid = server.process.popen.pid
        before = (process_seconds(pid), busy_seconds(SERVER_PROCESSOR),
                  busy_seconds(CLIENT_PROCESSOR))
        report = client.run(mode, family, port + add_to_port, *options, timeout=120)
        after = (process_seconds(pid), busy_seconds(SERVER_PROCESSOR),
                 busy_seconds(CLIENT_PROCESSOR))
        assert report["failures"] == {}, report
        used, server_busy, client_busy = (b - a for a, b in zip(before, after))
        self.values.append(case.value(report))
        self.cpu.append(used / case.work(report))
        self.server_busy.append(min(1.0, server_busy / report["seconds"]))
        self.client_busy.append(min(1.0, client_busy / report["seconds"]))


def print_table(offloads: str, results: list) -> None:
    print(f"\nOffloads {offloads}; median (smallest to largest):\n")
    print("| one connection unless said otherwise | Fairlead ÷ kernel | Fairlead | kernel | "
          "CPU, Fairlead | CPU, kernel | busy, server's and client's processor, Fairlead | kernel |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    median = statistics.median
    for case, ours, theirs in results:
        ratio = median(ours.values) / median(theirs.values)
        cpu_unit = "s/GB" if case.unit == "GB/s" else "µs each"
        cells = [case.name + (" (lower is better)" if case.lower_is_better else ""),
                 f"**{ratio:.2f}**"]
        cells += [f"{median(m.values):.2f} {case.unit} ({min(m.values):.2f} to {max(m.values):.2f})"
                  for m in (ours, theirs)]
        cells += [f"{median(m.cpu):.2f} {cpu_unit}" for m in (ours, theirs)]
        cells += [f"{median(m.server_busy):.0%}, {median(m.client_busy):.0%}"
                  for m in (ours, theirs)]
        print("| " + " | ".join(cells) + " |", flush=True)


def run_in_lab(offloads: str, options, scratch: Path) -> None:
    lab = Lab("bench", offloads)
    servers = []
    try:
        def pinned(processor):
            return ["taskset", "-c", processor]

        client = Client(lab, options.binaries, pinned(CLIENT_PROCESSOR))
        servers.append(FairleadServer(lab, options.binaries, scratch, pinned(SERVER_PROCESSOR)))
        servers.append(KernelServer(lab, options.binaries, scratch, KERNEL_PORTS,
                                    pinned(SERVER_PROCESSOR)))
        results = []
        for case in cases(options.quick):
            ours, theirs = Measurement(), Measurement()
            for _ in range(options.repetitions):
                ours.take(case, client, servers[0], 0)
                theirs.take(case, client, servers[1], KERNEL_PORTS)
            results.append((case, ours, theirs))
        print_table(offloads, results)
    finally:
        for server in servers:
            server.stop()
        lab.down()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=Path, default=SOURCE / "build/release")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="an eighth of the work")
    parser.add_argument("--offloads", choices=("on", "off"), help="only with these")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("throughput.py: needs root: it makes network namespaces", file=sys.stderr)
        return 1
    if os.cpu_count() < 2:
        print("throughput.py: needs two processors", file=sys.stderr)
        return 1
    print_machine()
    for offloads in [options.offloads] if options.offloads else ["on", "off"]:
        with tempfile.TemporaryDirectory() as scratch:
            run_in_lab(offloads, options, Path(scratch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
