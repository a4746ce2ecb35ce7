"""The switch on several shards, and who has the packets of an address over a reload."""

import time

import pytest
from harness.load import wrk
from harness.proxies import BACKENDS, FAIRLEAD_PORT, url, virtual_server
from harness.scripted import ask, connect, read_response, request, wait_until

SECOND_PORT = 8090
# Reloader::kReleaseInterval: how often it looks whether an address is still in use.
RELEASE_SECONDS = 5


@pytest.fixture(autouse=True)
def backends_are_there(backends):
    return backends


def taken_from_the_kernel(switch) -> int:
    """Packets that steering has given to listeners of ours."""
    interfaces = switch.show_json("stats")["interfaces"]
    return sum(interface["counters"]["taken_listener"] for interface in interfaces)


@pytest.mark.parametrize("balance", ["connection", "request"])
def test_two_shards_share_the_load_without_an_error(web_lab, start_switch, balance):
    switch = start_switch("shards 2\n" + virtual_server(f"balance {balance}"))
    report = wrk(web_lab, url(switch, "/64"), seconds=2, connections=64, close=True)
    assert report.errors == {} and report.requests > 1000
    stats = switch.show_json("stats")
    received = [port["rx_packets"] for port in stats["ports"]]
    assert len(stats["shards"]) == 2 and min(received) > 1000, received
    servers = switch.servers().values()
    assert len(servers) == len(BACKENDS), "a row for each, not for each shard"
    # One that had to be sent again counts for each server that got it.
    assert sum(server["requests"] for server in servers) >= report.requests


def test_connections_of_an_address_that_a_reload_drops_go_on(web_lab, start_switch):
    with_second = virtual_server() + virtual_server(port=SECOND_PORT)
    switch = start_switch(with_second)
    held = connect(web_lab, SECOND_PORT)
    held.send(request("/name"))
    assert read_response(held)[0] == 200
    switch.configure(virtual_server())
    switch.ask("reload")
    with pytest.raises(ConnectionRefusedError):
        connect(web_lab, SECOND_PORT)
    time.sleep(RELEASE_SECONDS + 1)
    held.send(request("/name"))
    assert read_response(held)[0] == 200, "its packets still come to us"
    held.raw.close()

    def the_kernel_refuses() -> bool:
        before = taken_from_the_kernel(switch)
        with pytest.raises(ConnectionRefusedError):
            connect(web_lab, SECOND_PORT)
        return taken_from_the_kernel(switch) == before

    wait_until(the_kernel_refuses, timeout=3 * RELEASE_SECONDS)
    switch.configure(with_second)
    switch.ask("reload")
    assert ask(web_lab, SECOND_PORT, request("/name"))[0] == 200


def test_what_needs_a_restart_is_named(web_lab, start_switch):
    switch = start_switch()
    switch.configure("shards 2\nmetrics 127.0.0.1 9464\n" + virtual_server())
    output = switch.ask("reload").stdout.splitlines()
    assert output[1:] == ["warning: shards can't change while running; restart for it",
                          "warning: metrics can't change while running; restart for it"]
    assert ask(web_lab, FAIRLEAD_PORT, request("/name"))[0] == 200
