"""lab/demo.sh, what `make demo` runs, works twice and leaves nothing, also on Ctrl-C."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness.lab import LAB_SH
from harness.traces import bpf_orphans

DEMO = LAB_SH.parent / "demo.sh"


@pytest.fixture
def environment(binaries, tmp_path) -> dict:
    """Small, and with a directory for temporary files that must be empty afterwards."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    orphans = bpf_orphans()
    yield {**os.environ, "FAIRLEAD_BUILD": str(binaries), "DEMO_MEBIBYTES": "64",
           "TMPDIR": str(temporary)}
    assert list(temporary.iterdir()) == []
    assert list(Path("/run/netns").glob("demo-*")) == []
    deadline = time.monotonic() + 10  # the kernel frees programs after a grace period
    while (left := bpf_orphans() - orphans) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def test_it_works_twice(environment):
    for _ in range(2):
        done = subprocess.run([DEMO], env=environment, capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("hashes equal") == 2
        assert "GB/s" in done.stdout and "connections_accepted" in done.stdout


@pytest.mark.parametrize("seconds", [0.1, 0.4, 0.8])
def test_it_can_be_interrupted(environment, seconds):
    # A group of its own: the terminal sends SIGINT to all of it.
    process = subprocess.Popen([DEMO], env=environment, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=20)
