"""The ends of a daemon: stop, drain, keep, kill -9; and what they leave in the kernel."""

import signal
import threading
import time
from pathlib import Path

import pytest
from harness.lab import CLIENT_ADDRESS
from harness.proxies import FAIRLEAD_PORT, Switch, virtual_server
from harness.scripted import (
    ScriptedServer, ask, connect, connect_many, read_response, request, response, wait_until)

PINS = Path("/sys/fs/bpf/fairlead")


@pytest.fixture(autouse=True)
def backends_are_there(backends):
    return backends


@pytest.fixture
def switch(web_lab, binaries, tmp_path):
    """May end in the test."""
    running = Switch(web_lab, binaries, tmp_path)
    yield running
    if running.process.running:
        running.stop()


@pytest.fixture
def pins(web_lab) -> Path:
    inode = Path(f"/run/netns/{web_lab.prefix}-fairlead").stat().st_ino
    return PINS / str(inode)


def hold(lab):
    """A client that may send another request."""
    held = connect(lab, FAIRLEAD_PORT)
    held.send(request("/name"))
    assert read_response(held)[0] == 200
    return held


@pytest.mark.parametrize("how", [[], ["--now"]])
def test_stop_ends_the_daemon_and_resets_its_connections(web_lab, switch, pins, how):
    held = hold(web_lab)
    assert pins.exists()
    assert "stopping" in switch.ask("stop", *how).stdout
    assert switch.process.wait() == 0
    with pytest.raises(ConnectionResetError):
        held.raw.recv(1)
    assert not pins.exists()


@pytest.mark.parametrize("how", [["stop"], ["disable"]])
def test_everybody_is_told_however_many_there_are(web_lab, switch, how):
    many = connect_many(web_lab, FAIRLEAD_PORT, 600)
    for one in many:
        one.send(request("/name"))
        assert read_response(one)[0] == 200
    for server in switch.servers() if how == ["disable"] else [""]:
        switch.ask(*how, *filter(None, [server]))
    for one in many:
        with pytest.raises(ConnectionResetError):
            one.raw.recv(1)


def test_sigterm_resets_spliced_connections_too(web_lab, switch, pins):
    held = hold(web_lab)
    assert switch.stop() == 0
    with pytest.raises(ConnectionResetError):
        held.raw.recv(1)
    assert not pins.exists()


def test_what_is_kept_goes_on_without_a_daemon_and_with_the_next_one(web_lab, switch, pins):
    held = hold(web_lab)
    switch.ask("stop", "--keep")
    assert switch.process.wait() == 0
    assert pins.exists()
    held.send(request("/name"))
    assert read_response(held)[0] == 200
    switch.start()
    shown = switch.show_json("connections")
    port = held.raw.getsockname()[1]
    assert [(row["client"], row["seat"]) for row in shown["sessions"]] == [
        (f"{CLIENT_ADDRESS['ipv4']}:{port}", "tc")], shown
    assert sum(server["active"] for server in switch.servers().values()) == 1
    held.send(request("/name"))
    assert read_response(held)[0] == 200
    assert switch.stop() == 0
    with pytest.raises(ConnectionResetError):
        held.raw.recv(1)
    assert not pins.exists()


def test_a_draining_daemon_takes_no_new_connections_and_waits_for_those_it_has(web_lab, switch):
    held = hold(web_lab)
    switch.ask("stop", "--drain", "60s")
    with pytest.raises(ConnectionRefusedError):
        connect(web_lab, FAIRLEAD_PORT)
    held.send(request("/name"))
    assert read_response(held)[0] == 200
    assert switch.process.running
    assert switch.show_json("connections")["total"] == 1
    refused = switch.ask("reload", check=False)
    assert refused.returncode == 1 and "stopping" in refused.stderr
    held.raw.close()
    assert switch.process.wait() == 0


@pytest.mark.parametrize("offload", ["on", "off"])
def test_a_draining_daemon_waits_for_connections_that_a_stack_still_closes(web_lab, binaries,
                                                                           tmp_path, offload):
    """The NIC stack or the host's."""
    closes = threading.Event()

    def answer_and_stay(connection):
        connection.receive_until(b"\r\n\r\n")
        connection.send(response(b"hi", headers="Connection: close\r\n"))
        closes.wait(60)

    with ScriptedServer(web_lab, 8000, answer_and_stay) as server:
        config = (f"tcp {{ teardown_offload {offload} }}\n" +
                  virtual_server("balance request", [server.endpoint]))
        switch = Switch(web_lab, binaries, tmp_path, config)
        try:
            assert ask(web_lab, FAIRLEAD_PORT, request())[0] == 200
            wait_until(lambda: switch.sessions() == 0)
            assert switch.show_json("stats")["teardown"]["active"] == (offload == "on")
            assert switch.show_json("tcp")["total"] == (offload == "off")
            switch.ask("stop", "--drain", "50s")
            time.sleep(1)
            assert switch.process.running
            closes.set()
            assert switch.process.wait() == 0
        finally:
            closes.set()
            if switch.process.running:
                switch.stop()


def test_a_draining_daemon_waits_for_clients_that_have_still_to_close(web_lab, switch):
    """`teardown_offload` is off: the host closes them."""
    client = connect(web_lab, FAIRLEAD_PORT)
    client.send(b"no request\r\n\r\n")
    assert client.receive_to_end().startswith(b"HTTP/1.1 400 ")
    wait_until(lambda: switch.sessions() == 0)
    [row] = switch.show_json("tcp")["connections"]
    assert row["state"] == "FIN-WAIT-2"
    switch.ask("stop", "--drain", "50s")
    time.sleep(1)
    assert switch.process.running
    client.raw.close()
    assert switch.process.wait() == 0


def test_draining_ends_when_its_time_is_up(web_lab, switch):
    held = hold(web_lab)
    begun = time.monotonic()
    switch.ask("stop", "--drain", "1s")
    assert switch.process.wait() == 0
    assert time.monotonic() - begun >= 1
    with pytest.raises(ConnectionResetError):
        held.raw.recv(1)


def test_after_kill_9_the_next_start_goes_on_and_the_next_end_leaves_nothing(web_lab, switch, pins):
    switch.stop(signal.SIGKILL)
    assert pins.exists()
    switch.start()
    assert "earlier Fairlead's programs" in switch.process.output
    assert ask(web_lab, FAIRLEAD_PORT, request("/name"))[0] == 200
    assert switch.stop() == 0
    assert not pins.exists()


def test_show_stats_says_where_splices_are(switch):
    stats = switch.show_json("stats")
    assert {row["seat"] for row in stats["interfaces"]} == {"tc"}
    assert {row["seat_reason"] for row in stats["interfaces"]} == {""}
    assert stats["splices"]["open"] == 0
    assert stats["splices"]["kernel"]["translated"] == 0
