#!/usr/bin/python3
"""Servers of short connections, as AccelTCP (NSDI '20) measured them: transactions per second of one
host core, and where its cycles go.

    bench/short_connections.py [--binaries build/release] [--repetitions 5] [--quick] [--json]

build/release/bench/short_connections/short_connections is one measurement; its source says what runs
where. Repetitions
alternate between what a table compares. A rate is that of a core that is never idle; a measurement in
which a client noticed anything wrong ends the benchmark. Needs two processors.

Cycles by component (the paper's Table 1) are shares of samples of the host's thread, taken by
`perf record` beside a measurement of their own and attributed by source function, inlined ones
included: nothing is added to what is measured.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE / "lab"))

# pylint: disable=wrong-import-position
from harness.machine import print_machine
from harness.tables import print_table
from host_profile import COMPONENTS, profile

PERSISTENT = ("--per-connection=0",)
# What the host and the NIC do: Table 3.
ROWS = {"baseline": (), "+ setup offload": ("--setup",),
        "+ teardown offload": ("--setup", "--teardown"),
        "+ quasi-TCB": ("--setup", "--teardown", "--quasi")}
SIZES = (64, 128, 256, 512, 1024, 2048, 4096, 8192)
QUICK_SIZES = (64, 1024, 8192)


class Bench:
    def __init__(self, options):
        self.program = options.binaries / "bench/short_connections/short_connections"
        self.repetitions = options.repetitions
        self.seconds = 0.5 if options.quick else 2

    def command(self, arguments) -> list[str]:
        return [str(self.program), f"--seconds={self.seconds}", *arguments]

    def once(self, arguments) -> dict:
        done = subprocess.run(self.command(arguments), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"short_connections.py: {' '.join(done.args)} failed\n"
                     f"{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def compare(self, contenders: dict) -> dict[str, list[dict]]:
        """All measurements of each, by name; a contender is its arguments."""
        found = {name: [] for name in contenders}
        for _ in range(self.repetitions):
            for name, arguments in contenders.items():
                found[name].append(self.once(arguments))
        return found


def median(measurements: list[dict], key: str) -> float:
    return statistics.median(m[key] for m in measurements)


def rate(measurements: list[dict]) -> str:
    rates = sorted(m["transactions_per_second"] / 1e6 for m in measurements)
    return f"{statistics.median(rates):.3f} M/s ({rates[0]:.3f} to {rates[-1]:.3f})"


def late(measurements: list[dict]) -> float:
    """Segments that came again, or for which a client waited in vain, per transaction."""
    return statistics.median(sum(m["late"].values()) / m["transactions"] for m in measurements)


HEADS = ["ratio", "transactions per second of a host core", "cycles each", "frames in, out",
         "frames per turn", "late or lost", "core idle", "core taken by others"]


def table(title: str, found: dict[str, list[dict]]) -> None:
    first = median(next(iter(found.values())), "transactions_per_second")
    print_table(title, HEADS, [
        [name, f"**{median(ms, 'transactions_per_second') / first:.2f}**", rate(ms),
         f"{median(ms, 'cycles'):.0f}",
         f"{median(ms, 'rx_frames'):.2f}, {median(ms, 'tx_frames'):.2f}",
         f"{median(ms, 'frames_per_turn'):.1f}", f"{late(ms):.2%}", f"{1 - median(ms, 'host_busy'):.1%}",
         f"{1 - median(ms, 'host_processor'):.1%}"]
        for name, ms in found.items()])


def size_table(row: str, found: dict[str, list[dict]], sizes) -> None:
    def cells(size: int) -> list[str]:
        short = median(found[f"short {size}"], "transactions_per_second")
        persistent = median(found[f"persistent {size}"], "transactions_per_second")
        return [f"{size} B", f"**{short / persistent:.2f}**", f"{short / 1e6:.3f} M/s",
                f"{short * size * 8 / 1e9:.2f}", f"{persistent / 1e6:.3f} M/s",
                f"{persistent * size * 8 / 1e9:.2f}"]

    print_table(f"Message sizes, {row} (Figure 11)",
                ["short ÷ persistent", "a connection each", "Gbit/s each way", "persistent",
                 "Gbit/s each way"], [cells(size) for size in sizes])


def component_table(found: dict[str, dict]) -> None:
    names = list(found)
    print_table("Cycles per transaction by component (Table 1)",
                [f"{name}{what}" for name in names for what in ("", ", share")],
                [[component] + [cell for name in names for cell in (
                    f"{found[name]['cycles'] * found[name]['shares'][component]:.0f}",
                    f"{found[name]['shares'][component]:.1%}")]
                 for component in COMPONENTS]
                + [["all"] + [cell for name in names
                              for cell in (f"{found[name]['cycles']:.0f}", "")]])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=Path, default=SOURCE / "build/release")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="shorter, and fewer sizes")
    parser.add_argument("--json", action="store_true", help="every measurement, in place of tables")
    options = parser.parse_args()
    if os.cpu_count() < 2:
        print("short_connections.py: needs two processors", file=sys.stderr)
        return 1
    bench = Bench(options)
    sizes = QUICK_SIZES if options.quick else SIZES
    rows = bench.compare(ROWS)
    kinds = bench.compare({
        f"{row}: {kind}": (*arguments, *more) for row, arguments in ROWS.items()
        for kind, more in (("persistent", PERSISTENT), ("short, server closes", ()),
                           ("short, client closes", ("--client-closes",)),
                           ("short, separate ACKs", ("--separate-acks",)))})
    by_size = {row: bench.compare({
        f"{kind} {size}": (*arguments, f"--message={size}", *more) for size in sizes
        for kind, more in (("short", ()), ("persistent", PERSISTENT))})
        for row, arguments in ROWS.items()}
    components = {}
    if shutil.which("perf") and shutil.which("llvm-symbolizer-19"):
        with tempfile.TemporaryDirectory() as scratch:
            for name, arguments in {**ROWS, "baseline, persistent": PERSISTENT}.items():
                components[name] = profile(bench.command(arguments), Path(scratch))
    else:
        print("short_connections.py: without perf and llvm-symbolizer-19 no cycles by component",
              file=sys.stderr)
    if options.json:
        print(json.dumps({"rows": rows, "kinds": kinds, "sizes": by_size,
                          "components": components}))
        return 0
    print_machine()
    table("64 B request and response, a connection each, 16,384 at a time (Table 3)", rows)
    table("Persistent and short connections (Figure 10)", kinds)
    for row, found in by_size.items():
        size_table(row, found, sizes)
    if components:
        component_table(components)
    return 0


if __name__ == "__main__":
    sys.exit(main())
