#!/usr/bin/python3
"""When does a splice pay? Connections of so many requests each, through virtual servers that splice at
once, after so many packets, and not at all: one lab, one run.

    bench/splice_after.py [--binaries build/release] [--repetitions 5] [--seconds 1]

wrk with 64 connections (1 thread), Fairlead (1 thread), one nginx worker, which closes a connection
after its last request; 64 B answers. Repetitions alternate between the virtual servers. Below the
break-even of `splice_after` its rows are the better ones.
"""

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE / "lab"))

# pylint: disable=wrong-import-position
from harness.lab import FAIRLEAD_ADDRESS, Lab
from harness.load import wrk
from harness.machine import print_machine
from harness.proxies import Switch, virtual_server
from harness.servers import start_nginx
from harness.tables import print_table

SERVER = "198.18.1.2"
REQUESTS = (1, 2, 3, 4, 8, 16, 64)
WAYS = ("splice off", "splice_after 0", "splice_after 8", "splice_after 16", "splice_after 64")


def server_port(requests: int) -> int:
    return 7000 + requests


def listen_port(requests: int, way: str) -> int:
    return 8000 + 10 * REQUESTS.index(requests) + WAYS.index(way)


def configuration() -> str:
    return "local_ports 10000 31999\n" + "".join(
        virtual_server(f"  {way}", [f"{SERVER} {server_port(requests)}"], listen_port(requests, way))
        for requests in REQUESTS for way in WAYS)


def servers() -> str:
    return "default_type text/plain;" + "".join(
        f"server {{ listen {SERVER}:{server_port(requests)} backlog=8192; "
        f"keepalive_requests {requests}; location / {{ return 200 '{'x' * 64}'; }} }}\n"
        for requests in REQUESTS)


def measure(lab: Lab, requests: int, options) -> dict[str, float]:
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(options.repetitions):
        for way, into in rates.items():
            address = f"{FAIRLEAD_ADDRESS['ipv4']}:{listen_port(requests, way)}"
            report = wrk(lab, f"http://{address}/", seconds=options.seconds)
            assert report.errors == {} and report.requests, (requests, way, report)
            into.append(report.rate / 1e3)
    return {way: statistics.median(into) for way, into in rates.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=Path, default=SOURCE / "build/release")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("splice_after.py: needs root: it makes network namespaces", file=sys.stderr)
        return 1
    print_machine()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        scratch = Path(name)
        lab = Lab(f"ba{os.getpid() % 100_000}")
        stack.callback(lab.down)
        stack.callback(start_nginx(lab, "server1", scratch, servers()).stop)
        stack.callback(Switch(lab, options.binaries, scratch, configuration()).stop)
        results = {requests: measure(lab, requests, options) for requests in REQUESTS}
    print_table(f"Requests per second ÷ those of `{WAYS[0]}` (k/s)", list(WAYS),
                [[f"{requests} requests per connection",
                  *(f"**{rates[way] / rates[WAYS[0]]:.2f}** ({rates[way]:.1f})" for way in WAYS)]
                 for requests, rates in results.items()])
    return 0


if __name__ == "__main__":
    sys.exit(main())
