#!/usr/bin/python3
"""Fairlead as a layer-7 switch against HAProxy, nginx and no proxy: one lab, one run.

    bench/switch.py [--binaries build/release] [--repetitions 5] [--quick] [--placement free|apart|ends]
                    [--seat automatic|tc|xdp|user] [--servers 1|2|3] [--congestion cubic|bbr|...]

    client: wrk ── veth ── fairlead: one of  Fairlead  :8080 … 8091 ── veth ── server1:
    (1 thread)             the proxies       HAProxy   :8181                   nginx
                           (1 thread each)   nginx     :8282                   (1 worker)

Fairlead is measured three times: "spliced", its default; "relaying", with `splice off`; "by request",
with `balance request`, which is how the others balance. "direct" is wrk to the server, routed by the
kernel past all proxies. There is one server, because wrk can't have more without a proxy: of three, each
has a third of the work at a time, and is woken three times as often. All hosts' kernels use the same
congestion control, CUBIC; Fairlead's own TCP has its own.
Repetitions alternate between the proxies, so that what else happens on the machine meets all of them;
the table has medians. All proxies are up all the time: those that are not measured sleep.

A veth has no hardware: what a receiver does in interrupts happens on the sender's processor. On a
machine of two processors client, proxy and servers share both, so a rate is the reciprocal of what a
request costs all of them together, and a difference between two rows is smaller than that between the
proxies alone. A proxy's processor time is what its own process used, the kernel's work in its system
calls included; the machine's is all of it, load generator and servers too.

What idle clients cost is in switch_idle.py.
"""

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE / "lab"))

# pylint: disable=wrong-import-position
from harness.backends import HTTP, Backends, address_of
from harness.lab import FAIRLEAD_ADDRESS, Lab
from harness.load import wrk
from harness.machine import busy_seconds, print_machine, process_seconds
from harness.proxies import (BACKENDS, FAIRLEAD_PORT, INTERFACES, HAProxy, NginxProxy, Switch,
                             virtual_server)
from harness.tables import print_table
from switch_idle import Contender, Ghosts, measure_memory, measure_table

RELAYING_PORT, BY_REQUEST_PORT = 8090, 8091
COMPARED = ("HAProxy", "nginx", "direct")


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
    machine: list = field(default_factory=list)  # of all processors, seconds per GB of answers

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


def machine_seconds() -> float:
    return sum(busy_seconds(processor) for processor in range(os.cpu_count()))


def measure(lab: Lab, contenders: list[Contender], options) -> dict:
    """Measurements by title of the row, then name of the contender."""
    results = {row.title: {c.name: Measurement() for c in contenders} for row in ROWS}
    for rows in loads():
        for _ in range(options.repetitions):
            for contender in contenders:
                before, all_before = contender.cpu_seconds(), machine_seconds()
                report = wrk(lab, f"http://{contender.address}:{contender.port}{rows[0].path}",
                             seconds=options.seconds, before=options.others, **rows[0].options)
                after, all_after = contender.cpu_seconds(), machine_seconds()
                assert report.errors == {} and report.requests, (contender, report)
                for row in rows:
                    into = results[row.title][contender.name]
                    into.values.append(row.value(report))
                    into.cpu.append((after - before) / report.requests * 1e6)
                    into.machine.append((all_after - all_before) / (report.bytes / 1e9))
    return results


# ---- output --------------------------------------------------------------------------------------

def print_added_latency(medians: dict[str, dict[str, float]]) -> None:
    """What a proxy adds to the way without one."""
    rows = []
    for row in (row for row in ROWS if row.lower_is_better):
        value = medians[row.title]
        added = {name: value[name] - value["direct"] for name in value if name != "direct"}
        rows.append([row.title, *(f"**{added[name] / added['HAProxy']:.2f}**" for name in added
                                  if name.startswith("Fairlead")),
                     *(f"{added[name]:+.0f} {row.unit}" for name in added)])
    names = [name for name in medians[ROWS[0].title] if name != "direct"]
    mine = [name for name in names if name.startswith("Fairlead")]
    print_table("Latency added to direct", [f"{name} ÷ HAProxy" for name in mine] + names, rows)


def print_results(contenders: list[Contender], results: dict, memory: dict) -> None:
    names = [contender.name for contender in contenders]
    proxies = [contender.name for contender in contenders if contender.pid]
    pairs = [(mine, other) for mine in names if mine.startswith("Fairlead") for other in COMPARED]

    def title(row: Row) -> str:
        return row.title + (" (lower is better)" if row.lower_is_better else "")

    def ratios(value: dict[str, float]) -> list[str]:
        return [f"**{value[mine] / value[other]:.2f}**" if value[other] else ""
                for mine, other in pairs]

    memory_title = "memory of 10,000 idle connections (lower is better)"
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
    large = [row for row in ROWS if row.path != "/64"]
    machine = {row.title: {name: statistics.median(results[row.title][name].machine)
                           for name in names} for row in large}
    print_table("CPU time of the machine per GB of answers (lower is better)",
                [f"{mine} ÷ {other}" for mine, other in pairs] + names,
                [[row.title, *ratios(machine[row.title]),
                  *(f"{machine[row.title][name]:.2f} s" for name in names)] for row in large])
    print_added_latency(medians)


def placement_of(options) -> str:
    if options.placement == "apart":
        return f"proxies on processor 0, client and servers on {options.others[-1]}"
    if options.placement == "ends":
        return "client on processor 0, servers on 1, proxies left to the scheduler"
    return f"left to the scheduler, the same for all, on {os.cpu_count()} processors"


def run_in_lab(options, scratch: Path) -> None:
    with ExitStack() as stack:
        # Two may run at a time.
        lab = Lab(f"bs{os.getpid() % 100_000}", "on", "--addresses", "3")
        stack.callback(lab.down)
        Ghosts.keep_ports_from_kernel(lab)
        for host in ("client", "fairlead", "server1") if options.congestion != "cubic" else ():
            lab.run(host, ["sysctl", "-qw",
                           f"net.ipv4.tcp_congestion_control={options.congestion}"])
        backends = Backends(lab, scratch, options.servers_on)
        stack.callback(backends.stop)
        servers = BACKENDS[:options.servers]
        config = (virtual_server("", servers)
                  + Ghosts.configuration()
                  + virtual_server("splice off", servers, RELAYING_PORT)
                  + virtual_server("balance request", servers, BY_REQUEST_PORT))
        seat = f" {{ seat {options.seat} }}"
        switch = Switch(lab, options.binaries, scratch, config, options.proxy,
                        INTERFACES.replace("\n", f"{seat}\n"))
        stack.callback(switch.stop)
        haproxy = HAProxy(lab, scratch, servers, options.proxy)
        stack.callback(haproxy.stop)
        nginx = NginxProxy(lab, scratch, servers, options.proxy)
        stack.callback(nginx.stop)

        address, pid = FAIRLEAD_ADDRESS["ipv4"], switch.process.popen.pid
        spliced = Contender("Fairlead spliced", address, FAIRLEAD_PORT, pid)
        contenders = [spliced, Contender("Fairlead relaying", address, RELAYING_PORT, pid),
                      Contender("Fairlead by request", address, BY_REQUEST_PORT, pid)]
        contenders += [Contender(proxy.name, address, proxy.port, proxy.process.popen.pid)
                       for proxy in (haproxy, nginx)]
        contenders.append(Contender("direct", address_of("b1"), HTTP))
        results = measure(lab, contenders, options)
        print_results(contenders, results, measure_memory(lab, contenders))
        table = measure_table(lab, spliced, contenders[-1], switch, options)
        print_table("How large the table of splices is: Fairlead spliced ÷ direct",
                    [f"{held:,} others" for held in table],
                    [["64 B, keep-alive, 64 connections",
                      *(f"**{rates.spliced / rates.direct:.2f}** ({rates.spliced / 1e3:.2f} and "
                        f"{rates.direct / 1e3:.2f} k/s)" for rates in table.values())]])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=Path, default=SOURCE / "build/release")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a second per measurement, not three")
    parser.add_argument("--placement", choices=("free", "apart", "ends"), default="free",
                        help="apart: proxies on processor 0, all else on the others; ends: client "
                        "on processor 0, servers on 1, proxies where the scheduler wants them")
    parser.add_argument("--seat", choices=("automatic", "tc", "xdp", "user"), default="automatic")
    parser.add_argument("--servers", type=int, choices=(1, 2, 3), default=1)
    parser.add_argument("--congestion", default="cubic", help="the kernels' congestion control")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("switch.py: needs root: it makes network namespaces", file=sys.stderr)
        return 1
    if os.cpu_count() < 2:
        print("switch.py: needs two processors", file=sys.stderr)
        return 1
    options.seconds = 1 if options.quick else 3
    options.proxy, options.others, options.servers_on = [], [], []
    if options.placement == "apart":
        options.proxy = ["taskset", "-c", "0"]
        options.others = options.servers_on = ["taskset", "-c", f"1-{os.cpu_count() - 1}"]
    elif options.placement == "ends":
        options.others, options.servers_on = ["taskset", "-c", "0"], ["taskset", "-c", "1"]
    print_machine()
    print(f"Placement: {placement_of(options)}. Seat: {options.seat}. Servers: {options.servers}. "
          f"Kernels: {options.congestion}.")
    with tempfile.TemporaryDirectory() as scratch:
        run_in_lab(options, Path(scratch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
