"""Fixtures. Run by ctest, or by hand, as root:

    /usr/bin/python3 -m pytest tests/system --binaries build/release [-k ipv6] [--server kernel]
"""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lab"))

pytest.register_assert_rewrite("harness", "directive_proofs")

# pylint: disable=wrong-import-position,redefined-outer-name
from harness.backends import Backends
from harness.client import Client
from harness.lab import FAMILIES, Lab
from harness.proxies import BACKENDS, HAProxy, Switch, virtual_server
from harness.servers import FairleadServer, KernelServer, Nginx
from harness.traces import Traces

SKIPPED = 77  # what ctest takes as "skipped"


def pytest_addoption(parser):
    parser.addoption("--binaries", type=Path, required=True, help="a build directory")
    parser.addoption("--server", choices=("kernel", "fairlead"), help="only against this one")
    parser.addoption("--proxy", choices=("fairlead", "haproxy"), default="fairlead",
                     help="what is between client and server in tests of HTTP: whose fault is it?")


def pytest_configure(config):
    config.addinivalue_line("markers", "soak: takes long, for `make soak`")
    if os.geteuid() != 0:
        pytest.exit("SKIPPED: system tests need root, they make network namespaces", SKIPPED)


def pytest_generate_tests(metafunc):
    if "server" in metafunc.fixturenames:
        only = metafunc.config.getoption("--server")
        servers = [only] if only else ["kernel", "fairlead"]
        metafunc.parametrize("server", servers, indirect=True, scope="function")
    if "family" in metafunc.fixturenames:
        metafunc.parametrize("family", FAMILIES)


@pytest.fixture(scope="session")
def binaries(request) -> Path:
    return request.config.getoption("--binaries").resolve()


def make_lab(kind: str, offloads: str, *options: str) -> Lab:
    # Unique among test runs at one time, and short: the pid in base 36.
    digits, number = "", os.getpid()
    while number:
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[number % 36] + digits
        number //= 36
    return Lab(f"t{kind}{digits}", offloads, *options)


@pytest.fixture(scope="session", params=["on", "off"], ids=["offloads", "no-offloads"])
def each_lab(request) -> Lab:
    """Two labs, one after the other: with segmentation offload and without."""
    lab = make_lab(request.param[1], request.param)
    yield lab
    lab.down()


@pytest.fixture(scope="session")
def lab() -> Lab:
    """With offloads."""
    made = make_lab("l", "on")
    yield made
    made.down()


@pytest.fixture(scope="session")
def plain_lab() -> Lab:
    """A wire: every packet is one that a wire would carry, none overtakes another, as they do between
    processors with a receive queue each, and none is lost, as they are behind the 1,000 that a
    processor's queue holds (net.core.netdev_max_backlog): no more fit the client's buffers."""
    made = make_lab("p", "off", "--rps", "client=1", "--rps", "fairlead=1")
    for buffer in ("tcp_rmem", "tcp_wmem"):
        made.run("client", ["sysctl", "-qw", f"net.ipv4.{buffer}=4096 131072 524288"])
    yield made
    made.down()


@pytest.fixture
def any_lab(request) -> Lab:
    """The lab of the test: the fixture it asks for whose name ends in _lab, or lab."""
    names = [n for n in request.fixturenames if n.endswith("_lab") and n != "any_lab"]
    return request.getfixturevalue(names[0] if names else "lab")


@pytest.fixture
def client(any_lab, binaries) -> Client:
    return Client(any_lab, binaries)


@pytest.fixture
def server(request, any_lab, binaries, tmp_path):
    """Each test twice: against the reference on kernel sockets, and against Fairlead."""
    kind = KernelServer if request.param == "kernel" else FairleadServer
    running = kind(any_lab, binaries, tmp_path)
    yield running
    running.stop()


@pytest.fixture
def fairlead(any_lab, binaries, tmp_path) -> FairleadServer:
    running = FairleadServer(any_lab, binaries, tmp_path)
    yield running
    running.stop()


@pytest.fixture
def nginx(any_lab, tmp_path) -> Nginx:
    running = Nginx(any_lab, tmp_path)
    yield running
    running.stop()


@pytest.fixture
def traces(any_lab) -> Traces:
    return Traces(any_lab)


# ---- the layer-7 switch --------------------------------------------------------------------------


@pytest.fixture(scope="session")
def web_lab() -> Lab:
    """With addresses for three backends, and more, on server1."""
    made = make_lab("w", "on", "--addresses", "3")
    yield made
    made.down()


@pytest.fixture(scope="session")
def backends(web_lab, tmp_path_factory) -> Backends:
    running = Backends(web_lab, tmp_path_factory.mktemp("backends"))
    yield running
    running.stop()


@pytest.fixture
def start_switch(web_lab, binaries, tmp_path):
    """Starts Fairlead with a configuration; at the end it must still run, and end as it should."""
    started = []

    def start(config: str | None = None, **options) -> Switch:
        folder = tmp_path / f"switch{len(started)}"
        folder.mkdir()
        started.append(Switch(web_lab, binaries, folder, config, **options))
        return started[-1]

    yield start
    assert all(switch.process.running for switch in started), started[-1].process.output
    assert [switch.stop() for switch in started] == [0] * len(started)


@pytest.fixture
def in_front_of(request, web_lab, tmp_path, start_switch):
    """Starts what --proxy says in front of these servers, each "ADDRESS PORT"."""
    kind, started = request.config.getoption("--proxy"), []

    def start(*servers: str):
        servers = servers or BACKENDS
        if kind == "fairlead":
            return start_switch(virtual_server(servers=servers))
        started.append(HAProxy(web_lab, tmp_path, servers))
        return started[-1]

    yield start
    for proxy in started:
        proxy.stop()
