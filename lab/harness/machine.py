"""The machine that benchmarks run on, and how busy it and its processes were."""

import contextlib
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from harness.process import Process


def process_seconds(pid: int) -> float:
    """Of all its threads, as the scheduler counts it; a kernel thread is a process, too."""
    clock_of_process = ~pid << 3 | 2  # clock_getcpuclockid(3)
    return time.clock_gettime(clock_of_process)


def busy_seconds(processor: int) -> float:
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{processor} "):
            user, nice, system, _, _, irq, softirq, *_ = map(int, line.split()[1:])
            return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    raise ValueError(processor)


class IdleLoop:
    """How busy a processor is, with everything, interrupts included: by what a loop of the lowest
    priority still gets done on it. See lab/peers/idle_loop.cc."""

    def __init__(self, processor: int, binaries: Path, scratch: Path):
        self.file = scratch / "idle_loop.count"
        self.process = Process(["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(processor),
                                binaries / "lab/peers/idle_loop", self.file],
                               scratch / "idle_loop.log")
        self.process.wait_until(lambda: self.file.exists() and self.count() > 0)

    def count(self) -> int:
        return int.from_bytes(self.file.read_bytes()[:8], sys.byteorder)

    def speed(self, seconds: float = 0.1) -> float:
        """Counts per second, now."""
        before, start = self.count(), time.monotonic()
        time.sleep(seconds)
        return (self.count() - before) / (time.monotonic() - start)

    @contextlib.contextmanager
    def busy(self):
        """Gives a list that holds the busy seconds afterwards. Before and after, nothing else runs:
        a virtual processor's speed changes."""
        seconds: list[float] = []
        speed = self.speed()
        before, start = self.count(), time.monotonic()
        yield seconds
        counted, elapsed = self.count() - before, time.monotonic() - start
        speed = (speed + self.speed()) / 2
        seconds.append(elapsed - counted / speed)

    def stop(self) -> None:
        self.process.stop()


def print_machine() -> None:
    model = next((line.split(":", 1)[1].strip()
                  for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    commit = subprocess.run(["git", "-C", Path(__file__).parent, "rev-parse", "--short", "HEAD"],
                            capture_output=True, text=True, check=False).stdout.strip()
    print(f"{os.cpu_count()} × {model}, Linux {platform.release()}, commit {commit or 'unknown'}")
