"""Paths that are narrow, uneven, or lose packets."""

import pytest
from harness.client import assert_flawless, assert_intact
from harness.lab import Lab
from harness.servers import CHARGEN, DISCARD, ECHO
from conftest import make_lab

MIB = 1 << 20


@pytest.fixture(params=[("client=9000",), ("fairlead=9000",), ("client=9000", "fairlead=9000"),
                        ("client=1280", "fairlead=1280")], ids=" ".join)
def uneven_lab(request) -> Lab:
    """Each end with an MTU of its own."""
    words = [word for mtu in request.param for word in ("--mtu", mtu)]
    made = make_lab("m", "on", *words)
    yield made
    made.down()


@pytest.mark.usefixtures("uneven_lab", "server")
def test_streams_pass_whatever_the_mtu(client, family):
    assert_intact(client.run("echo", family, ECHO, "--bytes", 32 * MIB), 1, 32 * MIB)
    assert_flawless(client.run("download", family, CHARGEN, "--bytes", 32 * MIB), 1)


@pytest.fixture(params=["client", "fairlead"])
def narrow_lab(request) -> Lab:
    """From one host on, 200 Mbit/s and a queue of 100 kB, which overflows again and again."""
    made = make_lab("w", "on")
    made.run(request.param, ["tc", "qdisc", "add", "dev", request.param, "root", "tbf", "rate",
                             "200mbit", "burst", "20kb", "limit", "100kb"])
    yield made
    made.down()


@pytest.mark.usefixtures("narrow_lab", "server")
def test_a_full_queue_costs_little_and_nothing_is_lost(client, family):
    report = client.run("echo", family, ECHO, "--bytes", 16 * MIB, timeout=30)
    assert_intact(report, 1, 16 * MIB)
    # 25 MB/s less headers is 24; a loss recovery that waits for timers would be far below.
    assert report["gigabytes_per_second"] > 0.012, report
    assert_flawless(client.run("upload", family, DISCARD, "--bytes", 8 * MIB, timeout=30), 1)
    assert_flawless(client.run("download", family, CHARGEN, "--bytes", 8 * MIB, timeout=30), 1)
    assert_intact(client.run("echo", family, ECHO, "--bytes", MIB, "--connections", 20,
                             timeout=30), 20, MIB)
