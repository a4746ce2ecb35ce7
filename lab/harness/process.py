"""Processes that a test starts, waits for and ends; by their own handle, never by name."""

import re
import signal
import subprocess
import time
from pathlib import Path


class Process:
    """A background process whose output goes to a log file."""

    def __init__(self, argv, log: Path):
        self.argv = [str(word) for word in argv]
        self.log = log
        with open(log, "wb") as output:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def wait_for(self, pattern: str, timeout: float = 15) -> None:
        """Until a line of the output matches; fails when the process ends first."""
        self.wait_until(lambda: re.search(pattern, self.output, re.MULTILINE),
                        f"line like {pattern!r}", timeout)

    def wait_until(self, true, what: str = "sign of life", timeout: float = 15) -> None:
        """Until true(); fails when the process ends first."""
        deadline = time.monotonic() + timeout
        while not true():
            if not self.running or time.monotonic() > deadline:
                state = f"ended with {self.popen.poll()}" if not self.running else "still runs"
                self.stop()
                raise AssertionError(
                    f"no {what} from {' '.join(self.argv)} ({state}):\n{self.output}")
            time.sleep(0.01)

    def send_signal(self, number: int) -> None:
        if self.running:
            self.popen.send_signal(number)

    def wait(self, timeout: float = 20) -> int:
        return self.popen.wait(timeout)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 20) -> int:
        """Ends it, by force when it does not go; its exit status."""
        self.send_signal(number)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.wait()
            raise AssertionError(f"{self.argv} did not end on signal {number}:\n{self.output}") from None


def run(argv, timeout: float = 60, check: bool = True) -> subprocess.CompletedProcess:
    """Runs a command to its end; what it printed is in an error."""
    argv = [str(word) for word in argv]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done
