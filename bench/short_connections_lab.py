#!/usr/bin/python3
"""Servers of short connections with the kernel's clients: Fairlead's echo service, with and without
setup and teardown by the NIC stack (doc/offload.md), and the same service on kernel sockets.

    bench/short_connections_lab.py [--binaries build/release] [--repetitions 5] [--quick]
                                   [--offloads on|off] [--softirqs thread|sender|receiver]
                                   [--idle-loop]

    client: stream_client ── veth ── fairlead: fairlead, kernel_echo or echo_server, 1 thread
    (processor 1)                    (processor 0)

Six such labs stand side by side, for kernel_echo, four Fairleads and examples/echo_server.c: what
differs between these is one for a whole daemon, and the kernel's server should not pay for a
steering program. Repetitions alternate between all contenders; who is not measured sleeps.
kernel_echo is lab/peers/kernel_echo.cc: epoll, edge-triggered, accept4; five to six system calls a
connection, with those that wait.

A connection is one 64 B request and its echo. "Server closes first": both servers have a limit of
64 B. Local ports do not run out: a client has 59,976 of them for each server's port, and takes those
in TIME-WAIT again after a second (tcp_tw_reuse, RFC 6191; see lab/lab.sh).

A veth has no hardware: what a receiver does in interrupts happens on the sender's processor and, as
the kernel counts, in the sender's time. So it has to be said who does that work, and who pays:

    --softirqs thread    a thread of the receiving interface's own, on its host's processor, every
                         50 us: a network card with interrupt moderation (lab.sh --napi)
    --softirqs receiver  the receiver's processor (RPS), an interrupt for a packet or few
    --softirqs sender    the sender, as on any veth

With `thread` receiving has a time of its own, as the scheduler counts it: the server's process, the
server's side (with the thread of its interface), both sides; timers' interrupts on an idle
processor are nobody's. veth needs the sender's TSO off for it.

Otherwise interrupts are in the time of whom they interrupt, and the divisors are the server's
process, both processes, and the machine; the last is sampled at clock ticks, which a server that
sleeps by the clock seldom meets at work. In its place `--idle-loop` has what is used of the server's
processor, interrupts and all, as a loop of the lowest priority there finds out; the other columns
are less true then: both processors are never idle.
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
STEERING = {"thread": ("--napi", "fairlead=0", "--napi", "client=1"),
            "receiver": ("--rps", "fairlead=1", "--rps", "client=2"), "sender": ()}
CLOSES = {"client": (0, ()), "server": (LIMITED, ("--await-close",))}


@dataclass
class Contender:
    name: str
    client: Client
    port: int
    pids: dict  # of the server's process, by who closes first
    receivers: dict = field(default_factory=dict)  # threads of the interfaces, by END of lab.sh


@dataclass
class Measurement:
    rates: list = field(default_factory=list)  # connections per second
    used: dict = field(default_factory=dict)  # CPU microseconds per connection, by key of USERS


def machine_seconds() -> float:
    return sum(busy_seconds(processor) for processor in range(os.cpu_count()))


def client_seconds() -> float:
    """Of all clients that have ended; servers have not."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def used_seconds(contender: Contender, closer: str) -> dict:
    server, client = process_seconds(contender.pids[closer]), client_seconds()
    if not contender.receivers:
        return {"server": server, "processes": server + client, "machine": machine_seconds()}
    ends = {end: process_seconds(thread) for end, thread in contender.receivers.items()}
    side = server + ends["fairlead"]
    return {"server": server, "side": side, "all": side + client + ends["client"]}


def measure(contender: Contender, concurrency: int, closer: str, count: int, left: IdleLoop | None,
            into: Measurement) -> None:
    add_to_port, options = CLOSES[closer]
    with left.busy() if left else contextlib.nullcontext([0.0]) as processor:
        before = used_seconds(contender, closer)
        report = contender.client.run("requests", "ipv4", contender.port + add_to_port,
                                      "--connections", count, "--concurrency", concurrency,
                                      "--size", SIZE, *options, timeout=120)
        after = used_seconds(contender, closer)
    if report["failures"] or report["connections"] != count:
        sys.exit(f"short_connections_lab.py: {contender.name}: {report}")
    into.rates.append(report["connections_per_second"])
    used = {user: after[user] - before[user] for user in after} | {"processor": processor[0]}
    for user, seconds in used.items():
        into.used.setdefault(user, []).append(seconds / count * 1e6)


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

USERS = {"server": "server's process", "side": "server's side", "all": "both sides",
         "processes": "both processes", "machine": "machine", "processor": "server's processor"}


def show(title: str, found: dict[str, Measurement], users: list[str]) -> None:
    median = statistics.median
    kernel = found["kernel"]

    def cells(ours: Measurement) -> list[str]:
        # Connections per CPU second are the reciprocal of what each takes.
        ratios = [median(ours.rates) / median(kernel.rates)] + [
            median(kernel.used[of]) / median(ours.used[of]) for of in users]
        rates = [f"{value / 1e3:.1f}" for value in
                 (median(ours.rates), min(ours.rates), max(ours.rates))]
        return [f"**{ratio:.2f}**" for ratio in ratios] + [
            f"{rates[0]} k/s ({rates[1]} to {rates[2]})"] + [
            f"{median(values):.1f} µs ({min(values):.1f} to {max(values):.1f})"
            for values in (ours.used[of] for of in users)]

    names = [USERS[of] for of in users]
    heads = ["÷ kernel: connections per s", f"per CPU s of the {names[0]}",
             *(f"of {name}" for name in names[1:]), "connections per s",
             f"CPU each: {names[0]}", *names[1:]]
    print_table(title, heads, [[name, *cells(ours)] for name, ours in found.items()])
    sys.stdout.flush()


def run(options, scratch: Path) -> None:
    with ExitStack() as stack:
        contenders = []
        left = IdleLoop(0, options.binaries, scratch) if options.idle_loop else None
        if left:
            stack.callback(left.stop)
        users = ["server", *(("side", "all") if options.softirqs == "thread" else
                             ("processes", "processor" if left else "machine"))]
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
            started = start(lab, options, of_its_own, stack)
            if options.softirqs == "thread":
                receivers = {end: lab.napi_thread(end) for end in ("fairlead", "client")}
                for contender in started:
                    contender.receivers = receivers
            contenders += started
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
    parser.add_argument("--softirqs", choices=STEERING, default="thread", help="who does what a "
                        "receiver does in interrupts")
    parser.add_argument("--idle-loop", action="store_true", help="how busy the server's processor "
                        "is with everything, in place of the machine")
    options = parser.parse_args()
    if options.idle_loop and options.softirqs == "thread":
        parser.error("--idle-loop: threads of interfaces run beside it; choose another --softirqs")
    if os.geteuid() != 0:
        print("short_connections_lab.py: needs root: it makes network namespaces", file=sys.stderr)
        return 1
    if os.cpu_count() < 2:
        print("short_connections_lab.py: needs two processors", file=sys.stderr)
        return 1
    options.connections = 20_000 if options.quick else 100_000
    print_machine()
    without = " but TSO" if options.softirqs == "thread" and options.offloads == "on" else ""
    print(f"Offloads of the veth {options.offloads}{without}; median (smallest to largest) of "
          f"{options.repetitions} times {options.connections:,} connections.")
    with tempfile.TemporaryDirectory() as scratch:
        run(options, Path(scratch))
    return 0


if __name__ == "__main__":
    sys.exit(main())
