"""Splices between real ends over networks of many kinds: MTUs, offloads, loss, options of TCP."""

import contextlib
import itertools
import os
from types import SimpleNamespace

import pytest
from conftest import make_lab
from harness.backends import Backends
from harness.lab import FAMILIES
from harness.loss import loss
from harness.splicing import Download, SplicingSwitch, assert_transfers

MIB = 1 << 20
SEATS = ("tc", "user")
NETWORKS = {
    "offloads": ("on", {}),
    "no offloads": ("off", {}),
    "client 1500, server 1400": ("on", {"server": 1400, "server1": 1400}),
    "client 1400, server 1500": ("on", {"client": 1400, "fairlead": 1400}),
}


@contextlib.contextmanager
def world_of(kind: str, network: str, scratch):
    """A lab with backends."""
    offloads, mtus = NETWORKS[network]
    lab = make_lab(kind, offloads, "--addresses", "3",
                   *(word for end, mtu in mtus.items() for word in ("--mtu", f"{end}={mtu}")))
    backends = Backends(lab, scratch)
    yield SimpleNamespace(lab=lab, backends=backends)
    backends.stop()
    lab.down()


@pytest.fixture(name="world", scope="module", params=NETWORKS)
def fixture_world(request, tmp_path_factory):
    with world_of("x", request.param, tmp_path_factory.mktemp("world")) as world:
        yield world


@pytest.fixture(name="wire", scope="module")
def fixture_wire(tmp_path_factory):
    """Each packet on its own, as on a wire."""
    with world_of("y", "no offloads", tmp_path_factory.mktemp("wire")) as world:
        yield world


@pytest.fixture
def splicing(binaries, tmp_path):
    """Starts a switch."""
    started = []

    def start(lab, seat: str, **options) -> SplicingSwitch:
        started.append(SplicingSwitch(lab, binaries, tmp_path, seat, **options))
        return started[-1]

    yield start
    assert [switch.stop() for switch in started] == [0] * len(started)


# ---- MTUs and offloads ---------------------------------------------------------------------------

@pytest.mark.parametrize("seat", SEATS)
def test_transfers_pass_whatever_the_mtu_and_offloads(world, splicing, tmp_path, seat):
    world.backends.add_file("large", os.urandom(32 * MIB))
    switch = splicing(world.lab, seat)
    for family in FAMILIES:
        assert_transfers(switch, world.backends, family, "large", tmp_path)
    switch.assert_spliced(4)


@pytest.fixture
def gro_at_the_ends(wire):
    """What a redirect by XDP needs at the other end of a veth; checksums must be complete, too."""

    def set_gro(wanted: str) -> None:
        for host, interface in (("client", "client"), ("server1", "server")):
            wire.lab.run(host, ["ethtool", "-K", interface, "gro", wanted])

    set_gro("on")
    yield
    set_gro("off")


@pytest.mark.usefixtures("gro_at_the_ends")
def test_transfers_pass_through_the_drivers_xdp(wire, splicing, tmp_path):
    wire.backends.add_file("large", os.urandom(32 * MIB))
    switch = splicing(wire.lab, "xdp")
    attached = [row["seat_attached"] for row in switch.show_json("stats")["interfaces"]]
    assert attached == ["native", "native"]
    for family in FAMILIES:
        assert_transfers(switch, wire.backends, family, "large", tmp_path)
    switch.assert_spliced(4)


# ---- loss ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("seat", SEATS)
@pytest.mark.parametrize("host", ["client", "server1"])
@pytest.mark.parametrize(("share", "size"), [(0.01, 4 * MIB), (0.05, 2 * MIB)],
                         ids=["1 %", "5 %"])
def test_what_is_lost_is_sent_again_by_its_end(wire, splicing, tmp_path, share, size, host, seat):
    """Whichever link it is lost on: a relay would send again what the other end has sent."""
    wire.backends.add_file("lossy", os.urandom(size))
    switch = splicing(wire.lab, seat)
    repeated = lambda: [wire.lab.tcp_counter(end, "RetransSegs") for end in ("client", "server1")]
    before = repeated()
    with loss(wire.lab, host, share):
        assert_transfers(switch, wire.backends, "ipv4", "lossy", tmp_path)
    more = [new - old for new, old in zip(repeated(), before)]
    assert min(more) > share * size / 1448 / 4, more
    switch.assert_spliced(2)


# ---- options of TCP ------------------------------------------------------------------------------

OPTIONS = ("sack", "timestamps", "window_scaling", "ecn")


@contextlib.contextmanager
def tcp_options(lab, host: str, on):
    """That host's TCP offers these, and agrees to no others."""

    def set_options(wanted) -> None:
        lab.run(host, ["sysctl", "-qw", *(f"net.ipv4.tcp_{name}={int(name in wanted)}"
                                          for name in OPTIONS)])

    set_options(on)
    try:
        yield
    finally:
        set_options(OPTIONS)


def fetch(switch, wire, family: str, log) -> None:
    Download(switch, family, wire.backends.files / "1M", log).assert_intact()


COMBINATIONS = [on for count in range(len(OPTIONS) + 1)
                for on in itertools.combinations(OPTIONS, count)]


@pytest.mark.parametrize("on", COMBINATIONS, ids=lambda on: " ".join(on) or "none")
@pytest.mark.parametrize("seat", SEATS)
def test_clients_are_spliced_whatever_they_offer(wire, splicing, tmp_path, on, seat):
    switch = splicing(wire.lab, seat)
    with tcp_options(wire.lab, "client", on):
        for family in FAMILIES:
            fetch(switch, wire, family, tmp_path / family)
    switch.assert_spliced(len(FAMILIES))


@pytest.mark.parametrize("off", OPTIONS)
@pytest.mark.parametrize("seat", SEATS)
def test_a_server_that_declines_an_option_is_spliced_to_clients_without_it(
        wire, splicing, tmp_path, off, seat):
    """Who has offered it was told that it is had: that one is relayed. Windows can be rescaled."""
    switch = splicing(wire.lab, seat, body="")
    less = set(OPTIONS) - {off}

    def fetch_both() -> None:
        for family in FAMILIES:
            fetch(switch, wire, family, tmp_path / family)

    with tcp_options(wire.lab, "server1", less):
        fetch_both()
        relayed = 0 if off == "window_scaling" else len(FAMILIES)
        assert switch.refused() == ({off: relayed} if relayed else {})
        with tcp_options(wire.lab, "client", less):
            fetch_both()
        assert switch.counters()["spliced"] == 2 * len(FAMILIES) - relayed
