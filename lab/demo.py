#!/usr/bin/python3
"""make demo: Fairlead as a layer-7 switch in front of three web servers, in network namespaces.

    this shell ── fl-demo ─┐
                           ├─ demo-fairlead: fairlead run, 198.18.0.1:8080 ── demo-server1: nginx ×3
    demo-client: wrk ──────┘                 examples/quickstart.conf         198.18.1.11 … 13

Loads it with wrk for some seconds, then HAProxy on the same machine when that is installed, says
what happened, and stays up until Ctrl-C; ONESHOT=1 ends by itself. Leaves nothing behind.

FAIRLEAD_BUILD names another build than build/release, DEMO_SECONDS how long each load takes.
"""

import signal
import sys


def interrupted(*_) -> None:
    # The first one ends the demo; while it cleans up, it must not be interrupted again.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(130)


for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, interrupted)

# pylint: disable=wrong-import-position
import contextlib
import fcntl
import ipaddress
import json
import os
import shutil
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SOURCE / "lab"))

from harness.backends import Backends
from harness.lab import LAB_SH, Lab
from harness.load import wrk
from harness.process import run
from harness.proxies import HAProxy, Switch, url

PREFIX = "demo"
RANGE = ipaddress.ip_network("198.18.0.0/15")  # what lab.sh uses
OUR_END, OUR_ADDRESS, THEIR_ADDRESS = "fl-demo", "198.18.255.2", "198.18.255.1"
CONFIG = SOURCE / "examples/quickstart.conf"
CONNECTIONS = 64


class Refused(Exception):
    """Why there can be no demo now, in one line."""


def become_root() -> None:
    if os.geteuid() == 0:
        return
    if not shutil.which("sudo"):
        raise Refused("network namespaces need root, and there is no sudo")
    keep = "--preserve-env=FAIRLEAD_BUILD,DEMO_SECONDS,ONESHOT,TMPDIR"
    os.execvp("sudo", ["sudo", keep, str(Path(__file__).resolve())])


@contextlib.contextmanager
def the_only_demo():
    """Two would have the same addresses."""
    folder = Path("/run/fairlead-lab")
    folder.mkdir(exist_ok=True)
    with open(folder / "demo.lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("another demo is running") from None
        yield


def refuse_addresses_in_use() -> None:
    """The demo makes a route from this shell to its addresses; it must not take another's away."""
    for entry in json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"]).stdout):
        if entry["dst"] == "default":
            continue
        network = ipaddress.ip_network(entry["dst"])
        if network.overlaps(RANGE) and network.prefixlen > 0:
            raise Refused(f"addresses of {RANGE} are in use on this machine already: "
                          f"{entry['dst']} on {entry.get('dev', 'no interface')}")


@contextlib.contextmanager
def demo_lab():
    try:
        yield Lab(PREFIX, "on", "--addresses", "3")
    finally:  # also when it was interrupted half made
        run([LAB_SH, "down", "--prefix", PREFIX])


def join_this_shell(lab: Lab) -> None:
    """Goes away with the lab: removing one end of a veth removes both."""
    inside = f"{lab.prefix}-fairlead"
    run(["ip", "link", "add", OUR_END, "type", "veth", "peer", "name", "outside", "netns", inside])
    run(["ip", "-n", inside, "addr", "add", f"{THEIR_ADDRESS}/30", "dev", "outside"])
    run(["ip", "-n", inside, "link", "set", "outside", "up"])
    run(["ip", "addr", "add", f"{OUR_ADDRESS}/30", "dev", OUR_END])
    run(["ip", "link", "set", OUR_END, "up"])
    run(["ip", "route", "add", "198.18.0.0/24", "via", THEIR_ADDRESS])


def load(lab: Lab, backends: Backends, proxy, seconds: int) -> None:
    """One line of the table."""
    before = backends.requests()
    report = wrk(lab, url(proxy, "/64"), seconds=seconds, connections=CONNECTIONS)
    after = backends.requests()
    each = "  ".join(f"{after[name] - before[name]:>9,}" for name in before)
    errors = " ".join(f"{kind} {n}" for kind, n in report.errors.items()) or "none"
    print(f"   {proxy.name:<10}{report.rate:>10,.0f}{report.p50:>10,}{report.p99:>10,}   {each}   "
          f"{errors}", flush=True)


def demonstrate(lab: Lab, scratch: Path, stop: contextlib.ExitStack, seconds: int) -> None:
    build = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build/release")).resolve()
    print("== three web servers: nginx, 198.18.1.11, .12 and .13, port 80", flush=True)
    backends = Backends(lab, scratch)
    stop.callback(backends.stop)

    print("\n== fairlead run -c examples/quickstart.conf")
    config = CONFIG.read_text(encoding="utf8")
    print("".join(f"     {line}\n" for line in config.splitlines()), flush=True)
    switch = Switch(lab, build, scratch, config, interfaces="")
    stop.callback(switch.stop)
    here = run(["curl", "-sf", "--max-time", "5", url(switch)]).stdout
    print(f"== from this shell\n     $ curl {url(switch)}\n     {here}")

    print(f"== wrk, {CONNECTIONS} connections, {seconds} s each\n"
          f"   {'':<10}{'requests/s':>10}{'median µs':>10}{'99 % µs':>10}   "
          f"{'by b1':>9}  {'b2':>9}  {'b3':>9}   errors", flush=True)
    load(lab, backends, switch, seconds)
    if shutil.which("haproxy"):
        haproxy = HAProxy(lab, scratch)
        stop.callback(haproxy.stop)
        load(lab, backends, haproxy, seconds)

    print(f"\n== fairlead show servers\n{switch.show('servers')}", flush=True)
    if os.environ.get("ONESHOT", "0") not in ("", "0"):
        return
    print(f"It stays up until Ctrl-C. Meanwhile, from another shell:\n"
          f"     curl {url(switch)}\n"
          f"     sudo {os.path.relpath(switch.binary)} show connections -s {switch.control_socket}",
          flush=True)
    try:
        switch.process.wait(timeout=None)
    except SystemExit:
        print()
        return  # Ctrl-C: as it should be
    raise Refused(f"fairlead has ended by itself:\n{switch.process.output}")


def main() -> int:
    try:
        become_root()
        with the_only_demo(), contextlib.ExitStack() as stack:
            run([LAB_SH, "down", "--prefix", PREFIX])  # what one that was killed left
            refuse_addresses_in_use()
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demo")))
            lab = stack.enter_context(demo_lab())
            join_this_shell(lab)
            demonstrate(lab, scratch, stack, int(os.environ.get("DEMO_SECONDS", "3")))
    except Refused as why:
        print(f"demo: {why}", file=sys.stderr)
        return 1
    print("demo: done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
