"""`fairlead show` tells the truth, to people and to programs."""

import re
import socket

from harness.client import assert_flawless, assert_intact
from harness.lab import CLIENT_ADDRESS, FAIRLEAD_ADDRESS, FAMILIES
from harness.servers import ECHO, MODES

MIB = 1 << 20


def open_connections(lab, count: int) -> list[socket.socket]:
    """Half of them in each family, each echoed once."""
    made = []
    with lab.entered("client"):
        for i in range(count):
            family = FAMILIES[i % 2]
            made.append(socket.create_connection((FAIRLEAD_ADDRESS[family], ECHO), timeout=10))
    for connection in made:
        connection.sendall(b"12345")
        assert connection.recv(10) == b"12345"
    return made


def test_show_connections_lists_those_that_are_open(lab, fairlead):
    connections = open_connections(lab, 10)
    reply = fairlead.show_json("connections")
    assert reply["total"] == 10
    assert len(reply["connections"]) == 10
    text = fairlead.show("connections")
    for family in FAMILIES:
        assert CLIENT_ADDRESS[family] in text
    for connection in connections:
        assert str(connection.getsockname()[1]) in text
        connection.close()


def test_show_connections_can_be_limited(lab, fairlead):
    connections = open_connections(lab, 10)
    reply = fairlead.show_json("connections", "--limit", "3")
    assert reply["total"] == 10
    assert len(reply["connections"]) == 3
    for connection in connections:
        connection.close()


def test_show_listeners_lists_what_is_served(fairlead):
    text = fairlead.show("listeners")
    for port in MODES:
        assert f"{FAIRLEAD_ADDRESS['ipv4']}:{port}" in text
        assert f"[{FAIRLEAD_ADDRESS['ipv6']}]:{port}" in text


def test_show_stats_counts_what_happened(fairlead, client):
    before = fairlead.show_json("stats")["counters"]
    assert_flawless(client.run("requests", "ipv4", ECHO, "--connections", 100, "--concurrency",
                               10), 100)
    after = fairlead.show_json("stats")["counters"]
    grown = {name: after[name] - before[name] for name in after}
    assert grown["connections_accepted"] == 100, grown
    assert grown["segments_received"] >= 400, grown
    assert all(count >= 0 for count in grown.values()), grown
    text = fairlead.show("stats")
    assert re.search(r"^connections_accepted +100$", text, re.MULTILINE), text


def test_asking_does_not_disturb_a_stream(fairlead, client):
    process = client.lab.start(
        "client", client.command("echo", "ipv4", ECHO, "--bytes", 256 * MIB),
        fairlead.scratch / "client.log")
    while process.running:
        fairlead.show_json("stats")
        fairlead.show_json("connections")
    assert process.wait() == 0, process.output
