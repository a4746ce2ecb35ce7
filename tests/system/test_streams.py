"""Streams arrive whole and unchanged, whatever the interfaces do with segments."""

import pytest
from harness.client import assert_flawless, assert_intact
from harness.servers import CHARGEN, DISCARD, ECHO, KernelServer

MIB = 1 << 20


def full_size(server, size: int) -> int:
    """The reference only has to show that the test is right."""
    return min(size, 64 * MIB) if isinstance(server, KernelServer) else size


@pytest.mark.usefixtures("each_lab")
def test_a_gibibyte_each_way_arrives_intact(server, client, family):
    size = full_size(server, 1024 * MIB)
    assert_intact(client.run("echo", family, ECHO, "--bytes", size, timeout=120), 1, size)


@pytest.mark.usefixtures("each_lab")
def test_a_thousand_connections_at_once_arrive_intact(server, client, family):
    size = full_size(server, MIB // 4)
    report = client.run("echo", family, ECHO, "--bytes", size, "--connections", 1000)
    assert_intact(report, 1000, size)


@pytest.mark.usefixtures("each_lab")
@pytest.mark.parametrize("size", [1, 1447, 1448, 1449, 65535, 65536, 65537])
def test_streams_of_awkward_length_arrive_intact(server, client, family, size):
    report = client.run("echo", family, ECHO, "--bytes", size, "--connections", 20)
    assert_intact(report, 20, size)


def test_a_stream_without_bytes_ends_as_it_should(server, client, family):
    assert_flawless(client.run("echo", family, ECHO, "--bytes", 0), 1)


@pytest.mark.usefixtures("each_lab")
def test_discard_takes_everything(server, client, family):
    size = full_size(server, 1024 * MIB)
    report = client.run("upload", family, DISCARD, "--bytes", size)
    assert_flawless(report, 1)
    assert report["bytes_sent"] == size


@pytest.mark.usefixtures("each_lab")
def test_chargen_sends_as_long_as_somebody_reads(server, client, family):
    size = full_size(server, 1024 * MIB)
    report = client.run("download", family, CHARGEN, "--bytes", size)
    assert_flawless(report, 1)
    assert report["bytes_received"] >= size
    assert report["verified"]
