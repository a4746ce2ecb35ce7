"""lab.sh makes what it says, removes exactly that, and can be interrupted."""

import fcntl
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness.lab import FAIRLEAD_ADDRESS, LAB_SH
from harness.process import run

PREFIX = f"x{os.getpid() % 10_000_000}"
STATE = Path("/run/fairlead-lab")


def namespaces() -> set[str]:
    return {path.name for path in Path("/run/netns").glob("*")}


def of_lab() -> set[str]:
    return {name for name in namespaces() if name.startswith(PREFIX)}


def congestion_controls() -> str:
    """While no lab comes up beside this one: one that does changes them for a moment."""
    STATE.mkdir(exist_ok=True)
    with open(STATE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text()


def lab_sh(command: str, *options, check=True):
    return run([LAB_SH, command, "--prefix", PREFIX, *options], check=check)


@pytest.fixture(autouse=True)
def no_lab_is_left():
    before = congestion_controls()
    yield
    lab_sh("down")
    assert of_lab() == set()
    assert not (STATE / PREFIX).exists()
    assert congestion_controls() == before


def test_it_can_come_up_and_go_down_twice():
    for _ in range(2):
        lab_sh("up")
        lab_sh("up")
        assert of_lab() == {f"{PREFIX}-{host}" for host in ("client", "fairlead", "server1")}
        lab_sh("down")
        lab_sh("down")
        assert of_lab() == set()


def test_a_thread_on_its_processor_receives_for_an_interface():
    lab_sh("up", "--napi", "fairlead=0", "--napi", "server=0")
    for end, host, target in (("fairlead", "client", "198.18.0.1"),
                              ("server", "fairlead", "198.18.1.2")):
        thread = Path("/proc") / lab_sh("napi", end).stdout.strip()
        assert (thread / "comm").read_text().startswith(f"napi/{end}")
        assert "Cpus_allowed_list:\t0\n" in (thread / "status").read_text()

        def switches(of=thread):
            return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", (of / "status").read_text(),
                                 re.MULTILINE)[1])
        before = switches()
        lab_sh("exec", host, "ping", "-c2", "-W2", "-i0.2", target)
        assert switches() > before
    assert lab_sh("napi", "client", check=False).returncode == 1
    lab_sh("down")
    assert not thread.exists()


def test_every_host_reaches_every_other():
    lab_sh("up", "--servers", "2")
    for target in ("198.18.0.1", "198.18.1.2", "198.18.2.2", "2001:db8::1", "2001:db8:2::2"):
        lab_sh("exec", "client", "ping", "-c1", "-W2", target)
    lab_sh("exec", "server1", "ping", "-c1", "-W2", "2001:db8:2::2")


def test_there_can_be_a_host_behind_the_client():
    lab_sh("up", "--beyond")
    assert f"{PREFIX}-beyond" in of_lab()
    for target in ("198.18.0.1", "198.18.1.2", "2001:db8::1", "2001:db8:1::2"):
        lab_sh("exec", "beyond", "ping", "-c1", "-W2", target)
    lab_sh("exec", "server1", "ping", "-c1", "-W2", "198.18.100.2")


def test_a_server_host_can_have_addresses_for_several_servers():
    lab_sh("up", "--addresses", "3")
    for target in ("198.18.1.11", "198.18.1.13", "2001:db8:1::13"):
        lab_sh("exec", "client", "ping", "-c1", "-W2", target)


def test_two_labs_do_not_see_each_other(lab):
    lab_sh("up")
    lab_sh("down")
    lab.run("client", ["ping", "-c1", "-W2", FAIRLEAD_ADDRESS["ipv4"]])


def test_a_namespace_of_somebody_else_is_left_alone():
    name = f"{PREFIX}-fairlead"
    run(["ip", "netns", "add", name])
    try:
        done = lab_sh("up", check=False)
        assert done.returncode == 1 and name in done.stderr
        assert of_lab() == {name}
    finally:
        run(["ip", "netns", "del", name])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_after_an_interruption_nothing_is_left_or_the_next_run_removes_it(number):
    for milliseconds in (20, 60, 120):
        process = subprocess.Popen([LAB_SH, "up", "--prefix", PREFIX, "--servers", "9"])
        time.sleep(milliseconds / 1000)
        process.send_signal(number)
        status = process.wait(timeout=20)
        if number != signal.SIGKILL and status != 0:
            assert of_lab() == set()
        lab_sh("up")
        lab_sh("down")
        assert of_lab() == set()


def test_a_namespace_that_was_only_half_made_is_removed():
    # What an `ip netns add` that was interrupted leaves: the name, nothing mounted on it.
    half = Path("/run/netns", f"{PREFIX}-fairlead")
    (STATE / PREFIX).write_text(f"netns {PREFIX}-client\nnetns {half.name}\n")
    half.touch(mode=0)
    lab_sh("up")
    lab_sh("exec", "client", "ping", "-c1", "-W2", FAIRLEAD_ADDRESS["ipv4"])
    half_again = Path("/run/netns", f"{PREFIX}-server1")
    run(["ip", "netns", "del", half_again.name])
    half_again.touch(mode=0)
    lab_sh("down")
    assert of_lab() == set()


@pytest.mark.parametrize("words", [["up", "--mtu", "1500"], ["up", "--offloads", "maybe"],
                                   ["up", "--addresses", "many"],
                                   ["up", "--prefix", "Not/Good"], ["fly"], ["up", "twice"], []])
def test_wrong_use_gets_one_line_and_status_2(words):
    done = run([LAB_SH, *words], check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 or words == []


def test_without_root_there_is_one_clear_line():
    done = run(["setpriv", "--reuid", "65534", "--clear-groups", LAB_SH, "up"], check=False)
    if done.returncode == 126 or "Permission denied" in done.stderr:
        pytest.skip("the source tree is not readable for others")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "root" in done.stderr
