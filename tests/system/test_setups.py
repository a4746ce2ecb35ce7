"""Other ways to set Fairlead up: several shards, no receive ring, no bursts, NewReno."""

import pytest
from harness.client import assert_flawless, assert_intact
from harness.servers import CHARGEN, DISCARD, ECHO, FairleadServer

MIB = 1 << 20

SETUPS = {
    "two shards": {"more": "shards 2\n"},
    "no receive ring": {"interface": "receive_mode socket"},
    "two shards, no receive ring": {"more": "shards 2\n", "interface": "receive_mode socket"},
    "no bursts": {"interface": "send_mode socket"},
    "newreno": {"more": "tcp { congestion newreno }\n"},
    "small buffers": {"more": "tcp { send_buffer 4096 4096; receive_buffer 4096 4096 }\n"},
}


@pytest.fixture(params=SETUPS.values(), ids=SETUPS.keys())
def fairlead(request, any_lab, binaries, tmp_path):
    running = FairleadServer(any_lab, binaries, tmp_path, **request.param)
    yield running
    assert running.stop() == 0


@pytest.mark.usefixtures("each_lab", "fairlead")
def test_streams_and_connections_work(client, family):
    assert_intact(client.run("echo", family, ECHO, "--bytes", 32 * MIB), 1, 32 * MIB)
    assert_intact(client.run("echo", family, ECHO, "--bytes", 50000, "--connections", 200), 200,
                  50000)
    assert_flawless(client.run("upload", family, DISCARD, "--bytes", 32 * MIB), 1)
    assert_flawless(client.run("download", family, CHARGEN, "--bytes", 32 * MIB), 1)
    assert_flawless(client.run("requests", family, ECHO, "--connections", 5000, "--concurrency",
                               100), 5000)


def test_both_of_two_shards_get_connections(lab, binaries, tmp_path, client):
    server = FairleadServer(lab, binaries, tmp_path, more="shards 2\n")
    try:
        assert_flawless(client.run("requests", "ipv4", ECHO, "--connections", 200,
                                   "--concurrency", 10), 200)
        received = [port["rx_packets"] for port in server.show_json("stats")["ports"]]
        assert len(received) == 2 and min(received) > 100, received
    finally:
        server.stop()


def test_short_packets_leave_as_the_interface_says(lab, binaries, tmp_path, client):
    for asked, sends in (("", "burst"), ("send_mode socket", "socket")):
        scratch = tmp_path / sends
        scratch.mkdir()
        server = FairleadServer(lab, binaries, scratch, interface=asked)
        try:
            assert_flawless(client.run("requests", "ipv4", ECHO, "--connections", 500,
                                       "--concurrency", 50), 500)
            stats = server.show_json("stats")
            interface, = stats["interfaces"]
            assert (interface["send_mode"], interface["send_reason"]) == (sends, "")
            assert (stats["ports"][0]["tx_bursts"] > 0) == (sends == "burst")
        finally:
            server.stop()
