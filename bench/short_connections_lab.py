#!/usr/bin/python3
"""Servers of short connections with the kernel's clients: Fairlead's echo service, with and without
setup and teardown by the NIC stack (doc/offload.md), and the same service on kernel sockets.

    bench/short_connections_lab.py [--binaries build/release] [--repetitions 5] [--quick]
                                   [--offloads on|off] [--softirqs sender|receiver] [--idle-loop]

    client: stream_client ── veth ── fairlead: fairlead, kernel_echo or echo_server, 1 thread
    (processor 1)                    (processor 0)

Six such labs stand side by side, for kernel_echo, four Fairleads and examples/echo_server.c: what differs between these is one
for a whole daemon, and the kernel's server should not pay for a steering program. Repetitions alternate
between all contenders; who is not measured sleeps. kernel_echo is lab/peers/kernel_echo.cc: epoll,
edge-triggered, accept4; five to six system calls a connection, with those that wait.

A connection is one 64 B request and its echo. "Server closes first": both servers have a limit of
64 B. Local ports do not run out: a client has 59,976 of them for each server's port, and takes those
in TIME-WAIT again after a second (tcp_tw_reuse, RFC 6191; see lab/lab.sh).

A veth has no hardware: what a receiver does in interrupts happens on the sender's processor and, as
the kernel counts, in the sender's time; with `--softirqs receiver` on the receiver's (RPS), at the price of
an interrupt between the two. So there are three divisors, from what is the server's own to all there is:
CPU time of the server's process; of both processes; and of the machine, whoever has used it. The last is
sampled at clock ticks, which a server that sleeps by the clock seldom meets at work. In its place `--idle-loop`
has what is used of the server's processor, interrupts and all, as a loop of the lowest priority there finds out.
With `--softirqs receiver` that is the server's side and no more. The other columns are less true then: both
processors are never idle.
"""

import argparse
import contextlib
import os
import resource
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE / "lab"))

# pylint: disable=wrong-import-position
from harness.client import Client
from harness.lab import FAIRLEAD_ADDRESS, Lab
from harness.machine import IdleLoop, busy_seconds, print_machine, process_seconds
from harness.servers import ECHO, Fairlead, KernelServer
from harness.tables import print_table

SERVER, CLIENT = (["taskset", "-c", processor] for processor in (0, 1))
SIZE = 64
COALESCE, LONGER = "coalesce 200us", "coalesce 400us"
LIMITED = 1000  # added to the port of who closes first
SETUP = 100  # added to a port with setup by the NIC stack
CONCURRENCY = (32, 128)
STEERING = {"sender": (), "receiver": ("--rps", "fairlead=1", "--rps", "client=2")}
CLOSES = {"client": (0, ()), "server": (LIMITED, ("--await-close",))}


@dataclass
class Contender:
    name: str
    client: Client
    port: int
    pids: dict  # of the server's process, by who closes first


@dataclass
class Measurement:
    rates: list = field(default_factory=list)  # connections per second
    # CPU microseconds per connection, by who used them
    server: list = field(default_factory=list)
    processes: list = field(default_factory=list)
    machine: list = field(default_factory=list)
    processor: list = field(default_factory=list)  # the server's


def machine_seconds() -> float:
    return sum(busy_seconds(processor) for processor in range(os.cpu_count()))


def client_seconds() -> float:
    """Of all clients that have ended; servers have not."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(contender: Contender, concurrency: int, closer: str, count: int, left: IdleLoop | None,
            into: Measurement) -> None:
    add_to_port, options = CLOSES[closer]
    pid = contender.pids[closer]
    with left.busy() if left else contextlib.nullcontext([0.0]) as processor:
        before = process_seconds(pid), client_seconds(), machine_seconds()
        report = contender.client.run("requests", "ipv4", contender.port + add_to_port,
                                      "--connections", count, "--concurrency", concurrency,
                                      "--size", SIZE, *options, timeout=120)
        after = process_seconds(pid), client_seconds(), machine_seconds()
    if report["failures"] or report["connections"] != count:
        sys.exit(f"short_connections_lab.py: {contender.name}: {report}")
    server, client, machine = ((b - a) / count * 1e6 for a, b in zip(before, after))
    into.rates.append(report["connections_per_second"])
    into.server.append(server)
    into.processes.append(server + client)
    into.machine.append(machine)
    into.processor.append(processor[0] / count * 1e6)


# ---- who is measured -----------------------------------------------------------------------------

def start_kernel(lab: Lab, options, scratch: Path, stack: ExitStack) -> list[Contender]:
    pids = {}
    for closer, (add_to_port, _) in CLOSES.items():
        of_its_own = scratch / closer
        of_its_own.mkdir()
        server = KernelServer(lab, options.binaries, of_its_own, add_to_port, SERVER,
                              SIZE if closer == "server" else None)
        stack.callback(server.stop)
        pids[closer] = server.process.popen.pid
    return [Contender("kernel", Client(lab, options.binaries, CLIENT), ECHO, pids)]


def start_fairlead(lab: Lab, options, scratch: Path, stack: ExitStack,
                   teardown: bool, coalesce: str = "") -> list[Contender]:
    """`fairlead run` as all contenders with this teardown; those with it have setup, too."""
    setup = "deferred" if coalesce else "on"
    contenders = {"Fairlead, setup and teardown" + (coalesce and f", {setup}, {coalesce}"): SETUP
                  } if teardown else {"Fairlead": 0, "Fairlead, setup": SETUP}
    lines = ["interface fairlead { seat tc }", coalesce,
             f"tcp {{ teardown_offload {'on' if teardown else 'off'} }}"]
    for add_setup in contenders.values():
        for closer, (add_to_port, _) in CLOSES.items():
            limit = f"limit {SIZE}" if closer == "server" else ""
            lines.append(f"echo_server {FAIRLEAD_ADDRESS['ipv4']} {ECHO + add_setup + add_to_port} "
                         f"{{ setup_offload {setup if add_setup else 'off'}; {limit} }}")
    server = Fairlead(lab, options.binaries, scratch, "\n".join(lines), SERVER)
    stack.callback(server.stop)
    seats = [interface["setup_seat"] for interface in server.show_json("stats")["interfaces"]]
    if seats != ["tc"]:
        sys.exit(f"short_connections_lab.py: SYNs are answered at {seats}, not at tc")
    client = Client(lab, options.binaries, CLIENT)
    pids = dict.fromkeys(CLOSES, server.process.popen.pid)
    return [Contender(name, client, ECHO + port, pids) for name, port in contenders.items()]


def start_c_api(lab: Lab, options, scratch: Path, stack: ExitStack) -> list[Contender]:
    """examples/echo_server.c, which closes first, always; setup deferred, teardown, coalesce."""
    process = lab.start("fairlead", [
        *SERVER, options.binaries / "src/api/example_echo_server",
        f"interface fairlead {{ seat tc }}\n{COALESCE}", FAIRLEAD_ADDRESS["ipv4"], ECHO + LIMITED],
        scratch / "echo_server.log")
    process.wait_for("^ready$")
    stack.callback(process.stop)
    return [Contender(f"the same in C, {COALESCE}", Client(lab, options.binaries, CLIENT), ECHO,
                      {"server": process.popen.pid})]


# ---- output --------------------------------------------------------------------------------------

USERS = {"server": "server's process", "processes": "both processes", "machine": "machine",
         "processor": "server's processor"}


def show(title: str, found: dict[str, Measurement], users: list[str]) -> None:
    median = statistics.median
    kernel = found["kernel"]

    def cells(ours: Measurement) -> list[str]:
        # Connections per CPU second are the reciprocal of what each takes.
        ratios = [median(ours.rates) / median(kernel.rates)] + [
            median(getattr(kernel, of)) / median(getattr(ours, of))
            for of in users]
        rates = [f"{value / 1e3:.1f}" for value in
                 (median(ours.rates), min(ours.rates), max(ours.rates))]
        return [f"**{ratio:.2f}**" for ratio in ratios] + [
            f"{rates[0]} k/s ({rates[1]} to {rates[2]})"] + [
            f"{median(values):.1f} µs ({min(values):.1f} to {max(values):.1f})"
            for values in (getattr(ours, of) for of in users)]

    names = [USERS[of] for of in users]
    heads = ["÷ kernel: connections per s", f"per CPU s of the {names[0]}",
             *(f"of the {name}" for name in names[1:]), "connections per s",
             f"CPU each: {names[0]}", *names[1:]]
    print_table(title, heads, [[name, *cells(ours)] for name, ours in found.items()])
    sys.stdout.flush()


def run(options, scratch: Path) -> None:
    with ExitStack() as stack:
        contenders = []
        left = IdleLoop(0, options.binaries, scratch) if options.idle_loop else None
        if left:
            stack.callback(left.stop)
        users = ["server", "processes", "processor" if left else "machine"]
        for name, start in (
                ("k", start_kernel),
                ("f", lambda *them: start_fairlead(*them, teardown=False)),
                ("t", lambda *them: start_fairlead(*them, teardown=True)),
                ("c", lambda *them: start_fairlead(*them, teardown=True, coalesce=COALESCE)),
                ("l", lambda *them: start_fairlead(*them, teardown=True, coalesce=LONGER)),
                ("a", start_c_api)):
            lab = Lab(f"{name}{os.getpid() % 10_000_000}", options.offloads,
                      *STEERING[options.softirqs])
            stack.callback(lab.down)
            of_its_own = scratch / name
            of_its_own.mkdir()
            contenders += start(lab, options, of_its_own, stack)
        for closer in CLOSES:
            for concurrency in CONCURRENCY:
                here = [contender for contender in contenders if closer in contender.pids]
                found = {contender.name: Measurement() for contender in here}
                for _ in range(options.repetitions):
                    for contender in here:
                        measure(contender, concurrency, closer, options.connections, left,
                                found[contender.name])
                show(f"{concurrency} connections at a time, {closer} closes first", found, users)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=Path, default=SOURCE / "build/release")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a fifth of the connections")
    parser.add_argument("--offloads", choices=("on", "off"), default="on", help="of the veth")
    parser.add_argument("--softirqs", choices=STEERING, default="sender", help="whose processor "
                        "does what a receiver does in interrupts")
    parser.add_argument("--idle-loop", action="store_true", help="how busy the server's processor "
                        "is with everything, in place of the machine")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("short_connections_lab.py: needs root: it makes network namespaces", file=sys.stderr)
        return 1
    if os.cpu_count() < 2:
        print("short_connections_lab.py: needs two processors", file=sys.stderr)
        return 1
    options.connections = 20_000 if options.quick else 100_000
    print_machine()
    print(f"Offloads of the veth {options.offloads}; median (smallest to largest) of "
          f"{options.repetitions} times {options.connections:,} connections.")
    with tempfile.TemporaryDirectory() as scratch:
        run(options, Path(scratch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
