"""stream_client on the lab's client host."""

import json
from pathlib import Path

from harness.lab import FAIRLEAD_ADDRESS, Lab


class Client:
    def __init__(self, lab: Lab, binaries: Path, before=()):
        self.lab = lab
        self.words = [*before, binaries / "lab/peers/stream_client"]

    def command(self, mode: str, family: str, port: int, *options, timeout: float = 60) -> list:
        return [*self.words, mode, FAIRLEAD_ADDRESS[family], port, "--timeout", timeout, *options]

    def run(self, mode: str, family: str, port: int, *options, timeout: float = 60) -> dict:
        """The client's report; whether it is a good one is for the test to say."""
        done = self.lab.run("client", self.command(mode, family, port, *options, timeout=timeout),
                            timeout=timeout + 10, check=False)
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)


def assert_flawless(report: dict, connections: int) -> None:
    assert report["failures"] == {}, report
    assert report["connections"] == connections, report


def assert_intact(report: dict, connections: int, size: int) -> None:
    """Every connection got back exactly what it sent, all of it."""
    assert_flawless(report, connections)
    assert report["bytes_sent"] == report["bytes_received"] == connections * size, report
    assert report["verified"] and report["hash_sent"] == report["hash_received"], report
