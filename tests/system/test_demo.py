"""lab/demo.py, what `make demo` runs, works twice and leaves nothing, also on Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness.lab import LAB_SH
from harness.process import Process, run
from harness.traces import bpf_orphans

DEMO = LAB_SH.parent / "demo.py"


def network() -> tuple:
    """Interfaces, addresses and routes of the namespace that the demo is run from."""
    links = [link["ifname"] for link in json.loads(run(["ip", "-j", "link"]).stdout)]
    return links, run(["ip", "-4", "-br", "addr"]).stdout, run(["ip", "-4", "route"]).stdout


@pytest.fixture
def environment(binaries, tmp_path, monkeypatch) -> None:
    """Short, and with a directory for temporary files that must be empty afterwards."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for name, value in (("FAIRLEAD_BUILD", binaries), ("DEMO_SECONDS", 1), ("TMPDIR", temporary)):
        monkeypatch.setenv(name, str(value))
    orphans, before = bpf_orphans(), network()
    yield
    assert list(temporary.iterdir()) == []
    assert list(Path("/run/netns").glob("demo-*")) == []
    assert network() == before
    deadline = time.monotonic() + 10  # the kernel frees programs after a grace period
    while (left := bpf_orphans() - orphans) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def oneshot() -> subprocess.CompletedProcess:
    return subprocess.run([DEMO], env={**os.environ, "ONESHOT": "1"}, capture_output=True,
                          text=True, timeout=60, check=False)


@pytest.mark.usefixtures("environment")
def test_it_works_twice():
    for _ in range(2):
        done = oneshot()
        assert done.returncode == 0, done.stdout + done.stderr
        for proxy in ("Fairlead", "HAProxy"):
            row = re.search(rf"^ +{proxy} +(.*) none$", done.stdout, re.MULTILINE)
            assert row, done.stdout
            *_, one, two, three = (int(n.replace(",", "")) for n in row[1].split())
            assert min(one, two, three) > 100, done.stdout
        assert done.stdout.count("198.18.1.1") >= 3


@pytest.mark.usefixtures("environment")
def test_it_can_be_used_from_the_shell_until_interrupted(tmp_path):
    demo = Process([DEMO], tmp_path / "demo.log")
    demo.wait_for("Ctrl-C", timeout=40)
    answers = {run(["curl", "-sf", "http://198.18.0.1:8080/"]).stdout for _ in range(3)}
    assert answers == {f"This is b{i}.\n" for i in (1, 2, 3)}
    refused = oneshot()
    assert refused.returncode == 1 and "another demo" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert demo.stop(signal.SIGINT) == 0, demo.output


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("seconds", [0.1, 0.4, 0.8, 1.5, 3])
def test_it_can_be_interrupted_at_any_time(seconds):
    # A group of its own: the terminal sends SIGINT to all of it.
    process = subprocess.Popen([DEMO], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(timeout=20)


@pytest.mark.usefixtures("environment")
def test_after_one_that_was_killed_the_next_works(tmp_path):
    killed = Process([DEMO], tmp_path / "killed.log")
    killed.wait_for("from this shell", timeout=40)
    killed.stop(signal.SIGKILL)
    assert oneshot().returncode == 0
    for left in Path(os.environ["TMPDIR"]).glob("demo*"):
        run(["rm", "-r", left])


def test_addresses_in_use_are_named_and_left_alone():
    run(["ip", "link", "add", "fl-taken", "type", "veth", "peer", "name", "fl-other"])
    try:
        run(["ip", "addr", "add", "198.18.7.1/24", "dev", "fl-taken"])
        run(["ip", "link", "set", "fl-taken", "up"])
        done = oneshot()
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "198.18.7" in done.stderr and "fl-taken" in done.stderr
    finally:
        run(["ip", "link", "del", "fl-taken"])
