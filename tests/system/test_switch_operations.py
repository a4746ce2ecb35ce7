"""Looking at a running switch, and changing it: show, drain, reload, metrics, logs."""

import json
import os
import re
import shutil
import socket
import threading
from pathlib import Path

import pytest
from harness.backends import address_of
from harness.lab import CLIENT_ADDRESS, FAIRLEAD_ADDRESS, LAB_SH
from harness.load import BackgroundWrk, wrk
from harness.process import run
from harness.proxies import BACKENDS, FAIRLEAD_PORT, Switch, url, virtual_server
from harness.scripted import (ScriptedServer, ask, connect, read_response, request, say_nothing,
                              wait_until)

B1, B2, B3 = BACKENDS
NAME1, NAME2, NAME3 = (server.replace(" ", ":") for server in BACKENDS)
EXAMPLES = LAB_SH.parents[1] / "examples"


@pytest.fixture(autouse=True)
def backends_are_there(backends):
    return backends


def met(lab, count: int = 6) -> set[str]:
    """The backends that requests meet, each on a connection of its own."""
    return {ask(lab, FAIRLEAD_PORT, request("/name"))[2].decode().strip() for _ in range(count)}


# ---- show ----------------------------------------------------------------------------------------

def test_show_servers_says_what_each_has_done(web_lab, start_switch):
    switch = start_switch(virtual_server(
        "schedule_wrr", [f"{B1} {{ weight 3 }}", f"{B2} {{ max_connections 9 }}", f"{B3} {{ backup }}"]))
    held = connect(web_lab, FAIRLEAD_PORT)
    held.send(request("/10k"))
    read_response(held)
    first, second, third = switch.servers().values()
    assert (first["server"], first["weight"], first["active"]) == (NAME1, 3, 1)
    assert (first["requests"], first["connections"], first["failures"]) == (1, 1, 0)
    assert first["bytes_to_client"] > 10_000 and first["bytes_to_server"] > 0
    assert second["max_connections"] == 9 and second["requests"] == 0
    assert third["backup"] and not first["backup"]
    assert {row["admin"] for row in (first, second, third)} == {"enabled"}
    text = switch.show("servers")
    assert all(re.search(rf"{name}\b.*\bup\b", text) for name in (NAME1, NAME2, NAME3)), text


def test_show_connections_says_who_is_connected_to_whom(web_lab, start_switch):
    switch = start_switch(virtual_server("timeout_established 5m"))
    held = connect(web_lab, FAIRLEAD_PORT)
    held.send(request("/name"))
    backend = read_response(held)[1]["x-backend"]
    port = held.raw.getsockname()[1]
    reply = switch.show_json("connections")
    session = next(row for row in reply["sessions"]
                   if row["client"] == f"{CLIENT_ADDRESS['ipv4']}:{port}")
    assert session["virtual"] == f"{FAIRLEAD_ADDRESS['ipv4']}:{FAIRLEAD_PORT}"
    assert session["server"] == f"{address_of(backend)}:80"
    assert session["local"].startswith("198.18.1.1:")
    assert session["state"] == "ESTABLISHED" and 200_000 < session["expires_ms"] <= 300_000
    text = switch.show("connections")
    assert all(session[what] in text for what in ("client", "virtual", "local", "server", "state"))


def test_show_stats_counts_requests_and_answers(web_lab, start_switch):
    switch = start_switch()
    for path in ("/64", "/64", "/nowhere"):
        ask(web_lab, FAIRLEAD_PORT, request(path))
    counters = switch.counters()
    assert [counters[name] for name in ("clients_accepted", "requests", "responses_2xx",
                                        "responses_4xx")] == [3, 3, 2, 1]
    assert re.search(r"^responses_2xx +2$", switch.show("stats"), re.MULTILINE)


# ---- drain, disable, enable ----------------------------------------------------------------------

def test_a_drained_server_keeps_its_connections_and_gets_no_new_ones(web_lab, start_switch):
    switch = start_switch(virtual_server(servers=(B1, B2)))
    held = connect(web_lab, FAIRLEAD_PORT)
    held.send(request("/name"))
    mine = read_response(held)[1]["x-backend"]
    drained = f"{address_of(mine)}:80"
    switch.ask("drain", drained)
    assert switch.servers()[drained]["admin"] == "draining"
    assert met(web_lab) == {"b1", "b2"} - {mine}
    held.send(request("/name"))
    assert read_response(held)[1]["x-backend"] == mine
    switch.ask("enable", drained)
    assert met(web_lab) == {"b1", "b2"}


def test_a_disabled_server_loses_its_connections(web_lab, start_switch):
    with ScriptedServer(web_lab, 8000, say_nothing) as server:
        switch = start_switch(virtual_server(servers=[server.endpoint]))
        held = connect(web_lab, FAIRLEAD_PORT)
        held.send(request())
        server.wait_for_connections(1)
        switch.ask("disable", server.name)
        assert held.receive_to_end()[:9] in (b"", b"HTTP/1.1 ")
        wait_until(server.connections[0].ended.is_set)
        assert ask(web_lab, FAIRLEAD_PORT, request())[0] == 503
        assert switch.servers()[server.name]["admin"] == "disabled"


def test_servers_can_be_drained_and_disabled_under_load_without_an_error(web_lab, start_switch,
                                                                         tmp_path):
    switch = start_switch(virtual_server("balance request"))
    load = BackgroundWrk(web_lab, tmp_path, url(switch, "/64"), 3)
    for name in (NAME1, NAME2, NAME3):
        switch.ask("drain", name)
        switch.ask("enable", name)
    report = load.report()
    assert report.errors == {} and report.requests > 1000


@pytest.mark.parametrize("command", ["drain", "enable", "disable"])
def test_commands_speak_json_and_name_what_they_do_not_know(start_switch, command):
    switch = start_switch()
    assert json.loads(switch.ask(command, NAME1, "--json").stdout)
    for wrong in ("198.18.1.99:80", "b1", "198.18.1.11"):
        done = switch.ask(command, wrong, check=False)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1 and wrong in done.stderr
    assert set(switch.servers()) == {NAME1, NAME2, NAME3}


# ---- reload --------------------------------------------------------------------------------------

def by_signal(switch: Switch) -> None:
    switch.process.send_signal(1)  # SIGHUP


def by_command(switch: Switch) -> None:
    switch.ask("reload")


@pytest.mark.parametrize("reload", [by_signal, by_command])
def test_a_reload_takes_effect_and_established_connections_go_on(web_lab, start_switch, reload):
    switch = start_switch(virtual_server(servers=[B1]))
    held = connect(web_lab, FAIRLEAD_PORT)
    held.send(request("/name"))
    assert read_response(held)[2] == b"b1\n"
    switch.configure(virtual_server(servers=[B2]))
    reload(switch)
    wait_until(lambda: set(switch.servers()) == {NAME2})
    assert met(web_lab, 3) == {"b2"}
    held.send(request("/name"))
    assert read_response(held)[2] == b"b1\n"


@pytest.mark.parametrize("options", [{}, {"close": True}], ids=["keep-alive", "close"])
@pytest.mark.parametrize("balance", ["connection", "request"])
def test_reloads_under_load_cost_no_request(web_lab, start_switch, tmp_path, options, balance):
    switch = start_switch(virtual_server(f"balance {balance}"))
    load = BackgroundWrk(web_lab, tmp_path, url(switch, "/64"), 4, **options)
    reloads = 0
    while load.process.running:
        servers = ((B1, B2), (B2, B3), (B1, B2, B3))[reloads % 3]
        switch.configure(virtual_server(f"balance {balance}", servers))
        switch.ask("reload")
        reloads += 1
    report = load.report()
    assert reloads >= 10 and report.errors == {} and report.requests > 1000


def test_a_reload_can_add_and_remove_virtual_servers(web_lab, start_switch):
    switch = start_switch()
    switch.configure(virtual_server() + virtual_server(servers=[B2], port=8090))
    switch.ask("reload")
    assert ask(web_lab, 8090, request("/name"))[2] == b"b2\n"
    switch.configure(virtual_server())
    switch.ask("reload")
    with pytest.raises(ConnectionRefusedError):
        connect(web_lab, 8090)
    assert met(web_lab, 3) == {"b1", "b2", "b3"}


WRONG = {
    "a mistake": "virtual_server 198.18.0.1 8080 { schedule_best }\n",
    "an address of another machine": virtual_server().replace("198.18.0.1", "192.0.2.99"),
    "half a file": "virtual_server 198.18.0.1 8080 {\n",
}


@pytest.mark.parametrize("config", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_reload_is_refused_and_the_old_configuration_serves(web_lab, start_switch, config):
    switch = start_switch()
    switch.configure(config)
    done = switch.ask("reload", check=False)
    assert done.returncode in (1, 2) and done.stderr.strip(), done
    by_signal(switch)
    assert met(web_lab) == {"b1", "b2", "b3"}
    assert set(switch.servers()) == {NAME1, NAME2, NAME3}


def test_a_configuration_that_is_gone_is_refused_and_the_old_one_serves(web_lab, start_switch):
    switch = start_switch()
    switch.config.unlink()
    done = switch.ask("reload", check=False)
    assert done.returncode != 0 and switch.config.name in done.stderr
    assert met(web_lab) == {"b1", "b2", "b3"}


def test_a_server_that_stays_keeps_its_counters_and_its_state_over_a_reload(web_lab, start_switch):
    switch = start_switch()
    met(web_lab, 9)
    switch.ask("drain", NAME1)
    switch.configure(virtual_server("schedule_lc", (B1, B2)))
    switch.ask("reload")
    servers = switch.servers()
    assert servers[NAME1]["admin"] == "draining" and servers[NAME1]["requests"] == 3
    assert met(web_lab) == {"b2"}


# ---- metrics and logs ----------------------------------------------------------------------------

def test_metrics_are_served_for_prometheus(web_lab, start_switch):
    start_switch("metrics 127.0.0.1 9464\n" + virtual_server())
    met(web_lab, 6)
    output = web_lab.run("fairlead", ["curl", "-sSi", "http://127.0.0.1:9464/metrics"]).stdout
    head, _, text = output.replace("\r\n", "\n").partition("\n\n")
    assert " 200" in head and "text/plain" in head
    samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            sample = re.fullmatch(r"([a-z0-9_:]+(?:\{.*\})?) (\S+)", line)
            assert sample, f"{line!r} is no sample"
            samples[sample[1]] = float(sample[2])
    assert samples["fairlead_switch_requests_total"] == 6
    assert any(NAME1 in name for name in samples)
    typed = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    assert {name.partition("{")[0] for name in samples} <= typed
    done = web_lab.run("fairlead", ["curl", "-so", "/dev/null", "-w", "%{http_code}",
                                    "http://127.0.0.1:9464/other"], check=False)
    assert done.stdout == "404"


def log_lines(file: Path, count: int) -> list[str]:
    wait_until(lambda: file.exists() and file.read_text().count("\n") >= count)
    return file.read_text().splitlines()


def test_the_access_log_has_a_json_line_per_request(web_lab, start_switch, tmp_path):
    log = tmp_path / "access.json"
    start_switch(virtual_server(f"balance request\naccess_log {log} json"))
    headers = 'User-Agent: "quoted"\\ \x7f\xff\r\n'.encode("latin1").replace(b"\x7f", b"")
    ask(web_lab, FAIRLEAD_PORT, request("/10k?a=b", host="www.example.org")[:-2] + headers + b"\r\n")
    ask(web_lab, FAIRLEAD_PORT, request("/nowhere"))
    ask(web_lab, FAIRLEAD_PORT, b"nonsense\r\n\r\n")
    first, second, third = (json.loads(line) for line in log_lines(log, 3))
    assert (first["method"], first["target"], first["version"], first["host"], first["status"]) == (
        "GET", "/10k?a=b", "HTTP/1.1", "www.example.org", 200)
    assert first["client"].startswith(CLIENT_ADDRESS["ipv4"] + ":")
    assert first["virtual_server"] == f"{FAIRLEAD_ADDRESS['ipv4']}:{FAIRLEAD_PORT}"
    assert first["server"] in (NAME1, NAME2, NAME3) and first["end"] == "done"
    assert first["bytes_to_client"] > 10_000 and first["total_us"] >= first["wait_us"] > 0
    assert '"quoted"\\' in first["user_agent"]
    assert (second["target"], second["status"]) == ("/nowhere", 404)
    assert third["status"] == 400 and "server" not in third


def test_a_request_that_is_refused_has_one_line_in_the_access_log(web_lab, start_switch, tmp_path):
    log = tmp_path / "access.json"
    with ScriptedServer(web_lab, 8000, say_nothing) as server:
        config = virtual_server(f"timeout_synack 200ms\naccess_log {log}", [server.endpoint])
        switch = start_switch(config)
        answers = [(request("/slow"), 504, "answer_timeout"), (b"nonsense\r\n\r\n", 400, "start_line")]
        for data, status, _ in answers:
            assert ask(web_lab, FAIRLEAD_PORT, data)[0] == status
        switch.ask("disable", server.name)
        assert ask(web_lab, FAIRLEAD_PORT, request())[0] == 503
    lines = [json.loads(line) for line in log_lines(log, 3)]
    assert [(line["status"], line["end"]) for line in lines] == [
        *((status, end) for _, status, end in answers), (503, "no_server")]


def test_the_access_log_speaks_the_common_format(web_lab, start_switch, tmp_path):
    log = tmp_path / "access.log"
    start_switch(virtual_server(f"balance request\naccess_log {log} common"))
    ask(web_lab, FAIRLEAD_PORT, request("/64"))
    assert re.fullmatch(
        r'198\.18\.0\.2 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
        r'"GET /64 HTTP/1\.1" 200 \d+', log_lines(log, 1)[0])


def test_logs_that_cannot_be_written_stall_nobody(web_lab, start_switch, tmp_path):
    switch = start_switch(virtual_server("balance request\naccess_log /dev/full json"))
    assert wrk(web_lab, url(switch, "/64"), seconds=1).errors == {}
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    silent = os.open(pipe, os.O_RDWR)  # reads nothing
    try:
        switch.configure(virtual_server(f"balance request\naccess_log {pipe} json"))
        switch.ask("reload")
        assert wrk(web_lab, url(switch, "/64"), seconds=1).errors == {}
    finally:
        os.close(silent)


def test_the_event_log_tells_what_happened_to_servers_and_of_reloads(backends, start_switch,
                                                                     tmp_path):
    log = tmp_path / "events.json"
    checked = f"{B1} {{ health_check tcp {{ interval 100ms; timeout 100ms; rise 1; fall 1 }} }}"
    config = f"event_log {log}\n" + virtual_server(servers=(checked, B2))
    switch = start_switch(config)
    backends["b1"].stop()
    wait_until(lambda: not switch.servers()[NAME1]["up"])
    backends["b1"].start()
    wait_until(lambda: switch.servers()[NAME1]["up"])
    switch.ask("drain", NAME2)
    switch.ask("disable", NAME2)
    switch.ask("enable", NAME2)
    switch.ask("reload")
    switch.configure("nonsense\n")
    switch.ask("reload", check=False)
    events = [json.loads(line) for line in log_lines(log, 7)]
    # Threads have a queue each: only what one of them says is in order.
    assert [(event["event"], event["server"]) for event in events if "server" in event] == [
        ("server_down", NAME1), ("server_up", NAME1), ("server_draining", NAME2),
        ("server_disabled", NAME2), ("server_enabled", NAME2)]
    assert [event["event"] for event in events if "server" not in event] == [
        "reloaded", "reload_refused"]


# ---- examples ------------------------------------------------------------------------------------

@pytest.fixture
def addresses(web_lab):
    """Those of the examples, on the lab's hosts for as long as a test."""
    added = []

    def add(host: str, interface: str, *which: str) -> None:
        for address in which:
            bits = "64" if ":" in address else "32"
            words = ["addr", "add", f"{address}/{bits}", "dev", interface]
            web_lab.run(host, ["ip", *words, *(["nodad"] if bits == "64" else [])])
            added.append((host, words))

    yield add
    for host, (_, _, *rest) in added:
        web_lab.run(host, ["ip", "addr", "del", *rest])


def test_the_original_switchd_conf_runs_as_it_is(web_lab, start_switch, addresses):
    addresses("fairlead", "fairlead", "192.168.200.100")
    servers = [f"192.168.200.{last}" for last in range(11, 17)]
    addresses("server1", "server", *servers)
    for server in servers:
        web_lab.run("fairlead", ["ip", "route", "replace", server, "via", "198.18.1.2"])
    listening = [ScriptedServer(web_lab, 80 if server != servers[-1] else 8080,
                                lambda connection: connection.send(
                                    b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%d"
                                    % threading.get_ident())
                                if connection.receive_until(b"\r\n\r\n") else None,
                                address=server) for server in servers]
    try:
        start_switch((EXAMPLES / "switchd.conf").read_text(), interfaces="")

        def fetch(port: int) -> int:
            with web_lab.entered("client"):
                raw = socket.create_connection(("192.168.200.100", port), 10)
            with raw:
                raw.sendall(request())
                return len(raw.recv(1000))

        assert all(fetch(8080) for _ in range(10)) and fetch(8888)
        assert [len(server.connections) for server in listening] == [2] * 5 + [1]
    finally:
        for server in listening:
            server.__exit__()
        for server in servers:
            web_lab.run("fairlead", ["ip", "route", "del", server])


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.conf")))
def test_every_example_is_found_right(binaries, name, tmp_path):
    copy = shutil.copy(EXAMPLES / name, tmp_path)
    done = run([binaries / "src/app/fairlead", "check", "-c", copy], check=False)
    assert done.returncode == 0, done.stderr
