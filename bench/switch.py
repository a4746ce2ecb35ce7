#!/usr/bin/python3
"""Fairlead as a layer-7 switch, relaying, against HAProxy, nginx and no proxy: one lab, one run.

    bench/switch.py [--binaries build/release] [--repetitions 5] [--quick] [--placement free|apart]

    client: wrk ── veth ── fairlead: one of  Fairlead  :8080, :8090  ── veth ── server1:
    (1 thread)             the proxies       HAProxy   :8181                    nginx ×3
                           (1 thread each)   nginx     :8282                    (1 worker each)

Fairlead is measured twice: with `balance connection`, its default, and with `balance request`, which
is what the others do. "direct" is wrk to one of the servers, routed by the kernel past all proxies.
Repetitions alternate between the proxies, so that what else happens on the machine meets all of them;
the table has medians. All proxies are up all the time: those that are not measured sleep.

A veth has no hardware: what a receiver does in interrupts happens on the sender's processor. On a
machine of two processors client, proxy and servers share both, so a rate is the reciprocal of what a
request costs all of them together, and a difference between two rows is smaller than that between the
proxies alone. CPU is what the proxy's own process used, the kernel's work in its system calls included.

Memory is what 10,000 clients cost that have had an answer each and stay connected: the growth of the
proxy's resident memory, plus its kernel sockets times what one costs, as measured with 10,000 clients
of a server: half the growth of all slab caches.
"""

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE / "lab"))

# pylint: disable=wrong-import-position
from harness.backends import HTTP, Backends, address_of
from harness.lab import FAIRLEAD_ADDRESS, Lab
from harness.load import wrk
from harness.machine import print_machine, process_seconds
from harness.proxies import FAIRLEAD_PORT, HAProxy, NginxProxy, Switch, virtual_server
from harness.scripted import connect_many, read_response, request

PER_REQUEST_PORT = 8090
IDLE = 10_000
COMPARED = ("HAProxy", "nginx", "direct")


@dataclass
class Contender:
    name: str
    address: str
    port: int
    pid: int | None = None  # of the proxy


@dataclass
class Row:
    title: str
    unit: str
    path: str
    value: callable  # of wrk's report
    options: dict = field(default_factory=dict)
    lower_is_better: bool = False


ONE = {"connections": 1}
ROWS = [
    Row("64 B, keep-alive, 64 connections", "k/s", "/64", lambda r: r.rate / 1e3),
    Row("10 KB, keep-alive, 64 connections", "k/s", "/10k", lambda r: r.rate / 1e3),
    Row("64 B, one request per connection, 64 at a time", "k/s", "/64", lambda r: r.rate / 1e3,
        {"close": True}),
    Row("1 MB, keep-alive, 16 connections", "GB/s", "/1M", lambda r: r.gigabytes_per_second,
        {"connections": 16}),
    Row("64 B, one connection, median", "µs", "/64", lambda r: r.p50, ONE, True),
    Row("64 B, one connection, 99th percentile", "µs", "/64", lambda r: r.p99, ONE, True),
]


@dataclass
class Measurement:
    values: list = field(default_factory=list)
    cpu: list = field(default_factory=list)  # of the proxy's process, µs per request

    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        return f"{self.median():.2f} ({min(self.values):.2f} to {max(self.values):.2f})"


def loads() -> list[list[Row]]:
    """Rows by what is run for them: those of one load share a run."""
    found: dict = {}
    for row in ROWS:
        found.setdefault((row.path, str(row.options)), []).append(row)
    return list(found.values())


def measure(lab: Lab, contenders: list[Contender], options) -> dict:
    """Measurements by title of the row, then name of the contender."""
    results = {row.title: {c.name: Measurement() for c in contenders} for row in ROWS}
    for rows in loads():
        for _ in range(options.repetitions):
            for contender in contenders:
                before = process_seconds(contender.pid) if contender.pid else 0
                report = wrk(lab, f"http://{contender.address}:{contender.port}{rows[0].path}",
                             seconds=options.seconds, before=options.others, **rows[0].options)
                after = process_seconds(contender.pid) if contender.pid else 0
                assert report.errors == {} and report.requests, (contender, report)
                for row in rows:
                    into = results[row.title][contender.name]
                    into.values.append(row.value(report))
                    into.cpu.append((after - before) / report.requests * 1e6)
    return results


# ---- memory --------------------------------------------------------------------------------------

def resident(pid: int) -> int:
    """Bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


def slab() -> int:
    meminfo = Path("/proc/meminfo").read_text(encoding="ascii")
    return int(re.search(r"Slab:\s+(\d+)", meminfo)[1]) * 1024


def kernel_sockets(lab: Lab) -> int:
    """TCP sockets of the proxies' host."""
    stat = lab.run("fairlead", ["cat", "/proc/net/sockstat"]).stdout
    return int(re.search(r"TCP: inuse (\d+)", stat)[1])


class IdleClients:
    """Have had an answer each, and stay, while the block lasts."""

    def __init__(self, lab: Lab, contender: Contender):
        self.clients = connect_many(lab, contender.port, IDLE, contender.address)
        for client in self.clients:
            client.send(request("/64"))
            assert read_response(client)[0] == 200
        time.sleep(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.raw.close()
        time.sleep(1)


def measure_memory(lab: Lab, contenders: list[Contender]) -> dict[str, float]:
    """MB by name."""
    direct = next(c for c in contenders if c.pid is None)
    before = slab()
    with IdleClients(lab, direct):
        per_socket = (slab() - before) / 2 / IDLE
    found = {direct.name: 0.0}
    of_process = {}  # both ways of balancing are one process, whose pools the first one has filled
    for contender in contenders:
        if contender.pid is None:
            continue
        if contender.pid in of_process:
            found[contender.name] = of_process[contender.pid]
            continue
        before = resident(contender.pid), kernel_sockets(lab)
        with IdleClients(lab, contender):
            process = resident(contender.pid) - before[0]
            sockets = kernel_sockets(lab) - before[1]
        found[contender.name] = (process + sockets * per_socket) / 1e6
        of_process[contender.pid] = found[contender.name]
    return found


# ---- output --------------------------------------------------------------------------------------

def print_table(title: str, heads: list[str], rows: list[list[str]]) -> None:
    print(f"\n{title}:\n\n| | " + " | ".join(heads) + " |\n|" + " --- |" * (len(heads) + 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def print_results(contenders: list[Contender], results: dict, memory: dict) -> None:
    names = [contender.name for contender in contenders]
    proxies = [contender.name for contender in contenders if contender.pid]
    pairs = [(mine, other) for mine in names if mine.startswith("Fairlead") for other in COMPARED]

    def title(row: Row) -> str:
        return row.title + (" (lower is better)" if row.lower_is_better else "")

    def ratios(value: dict[str, float]) -> list[str]:
        return [f"**{value[mine] / value[other]:.2f}**" if value[other] else ""
                for mine, other in pairs]

    memory_title = f"memory of {IDLE:,} idle connections (lower is better)"
    medians = {row.title: {name: results[row.title][name].median() for name in names}
               for row in ROWS}
    print_table("Ratios of the medians", [f"{mine} ÷ {other}" for mine, other in pairs],
                [[title(row), *ratios(medians[row.title])] for row in ROWS]
                + [[memory_title, *ratios(memory)]])
    print_table("Median (smallest to largest)", names,
                [[title(row), *(f"{results[row.title][name]} {row.unit}" for name in names)]
                 for row in ROWS]
                + [[memory_title, *(f"{memory[name]:.1f} MB" for name in names)]])
    print_table("CPU time of the proxy's process, µs per request", proxies,
                [[row.title, *(f"{statistics.median(results[row.title][name].cpu):.1f}"
                               for name in proxies)] for row in ROWS])


def placement_of(options) -> str:
    if options.placement == "apart":
        return f"proxies on processor 0, client and servers on {options.others[-1]}"
    return f"left to the scheduler, the same for all, on {os.cpu_count()} processors"


def run_in_lab(options, scratch: Path) -> None:
    with ExitStack() as stack:
        # Two may run at a time.
        lab = Lab(f"bs{os.getpid() % 100_000}", "on", "--addresses", "3")
        stack.callback(lab.down)
        backends = Backends(lab, scratch, options.others)
        stack.callback(backends.stop)
        config = virtual_server() + virtual_server("balance request", port=PER_REQUEST_PORT)
        switch = Switch(lab, options.binaries, scratch, config, options.proxy)
        stack.callback(switch.stop)
        haproxy = HAProxy(lab, scratch, before=options.proxy)
        stack.callback(haproxy.stop)
        nginx = NginxProxy(lab, scratch, before=options.proxy)
        stack.callback(nginx.stop)

        address, pid = FAIRLEAD_ADDRESS["ipv4"], switch.process.popen.pid
        contenders = [Contender("Fairlead", address, FAIRLEAD_PORT, pid),
                      Contender("Fairlead by request", address, PER_REQUEST_PORT, pid)]
        contenders += [Contender(proxy.name, address, proxy.port, proxy.process.popen.pid)
                       for proxy in (haproxy, nginx)]
        contenders.append(Contender("direct", address_of("b1"), HTTP))
        results = measure(lab, contenders, options)
        print_results(contenders, results, measure_memory(lab, contenders))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=Path, default=SOURCE / "build/release")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a second per measurement, not three")
    parser.add_argument("--placement", choices=("free", "apart"), default="free",
                        help="apart: proxies on processor 0, all else on the others")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("switch.py: needs root: it makes network namespaces", file=sys.stderr)
        return 1
    if os.cpu_count() < 2:
        print("switch.py: needs two processors", file=sys.stderr)
        return 1
    options.seconds = 1 if options.quick else 3
    options.proxy, options.others = [], []
    if options.placement == "apart":
        options.proxy = ["taskset", "-c", "0"]
        options.others = ["taskset", "-c", f"1-{os.cpu_count() - 1}"]
    print_machine()
    print(f"Placement: {placement_of(options)}.")
    with tempfile.TemporaryDirectory() as scratch:
        run_in_lab(options, Path(scratch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
