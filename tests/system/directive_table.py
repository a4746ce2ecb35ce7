"""Every directive of the switch: where it stands, a right use and its proof, wrong uses and what is
said of them.

A row's key is the block and the keyword; FRAMES says what stands around the line. `servers` are
those of the frame, and `script` is what they do where they are SCRIPTED. `wrong` has lines that
stand in the right one's place, and the error, from the place in the file on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import directive_proofs as proofs
from directive_proofs import SCRIPTED, SECOND_PORT
from harness.backends import HTTPS, PROXIED, address_of
from harness.lab import FAIRLEAD_ADDRESS
from harness.proxies import BACKENDS, Switch, virtual_server
from harness.scripted import ADDRESS, request, say_nothing

B1, B2, B3 = BACKENDS
HERE = FAIRLEAD_ADDRESS["ipv4"]
REFUSES = f"{ADDRESS} 8999"  # nobody listens there
NOBODY = "198.18.1.99 80"  # no such machine
TLS = f"{address_of('b1')} {HTTPS}"
POOL_TWO = f"pool two {{ real_server {B2} }}\n"


@dataclass
class Row:
    right: str  # LOG: a file of the test's own
    proof: Callable
    wrong: dict[str, str]
    servers: Sequence[str] = BACKENDS
    script: Callable | None = None
    frame: str | None = None  # another than that of its block
    switch: type[Switch] = Switch


FRAMES: dict[str, Callable[[str, Sequence[str]], str]] = {
    "": lambda line, servers: line + "\n" + virtual_server("splice off", servers),
    "spliced": lambda line, servers: line + "\n" + virtual_server("", servers),
    "virtual_server": virtual_server,
    "pool": lambda line, servers: f"pool one {{\n{line}\n"
            + "".join(f"  real_server {server}\n" for server in servers) + "}\n"
            + virtual_server("match path_prefix / pool one", ()),
    "real_server": lambda line, servers: virtual_server(
        "schedule_wrr", [f"{servers[0]} {{\n{line}\n}}", B2]),
    "health_check": lambda line, servers: virtual_server(
        "", [f"{servers[0]} {{ health_check http /health {{\n{line}\n}} }}", B2]),
    "match": lambda line, servers: virtual_server(f"match {line}", [B1]) + POOL_TWO,
    "match of tls": lambda line, servers: virtual_server(f"protocol tls; match {line}", [TLS])
                    + POOL_TWO.replace(B2, f"{address_of('b2')} {HTTPS}"),
    "schedule_hash": lambda line, servers: virtual_server(f"schedule_hash {line}", servers),
}

# ---- what several have in common -----------------------------------------------------------------

HASH = '"schedule_hash source|uri|header NAME|cookie NAME"'
MATCH = '"match CONDITION ... pool NAME"'
CHECK = '"health_check http PATH|tcp { ... }"'
TAKEN = f"found a second server on {HERE}:8080; the first is in line 1"
SERVER = '"real_server ADDRESS PORT { ... }"'
COUNT = "expected a whole number from 1 to"
A_NAME = "expected a name without a port, such as example.org or *.example.org"
A_PATH = "expected a path without a query, such as /api"
OFTEN = "; interval 50ms; timeout 50ms"  # of checks


def timeout(name: str, proof: Callable, value: str = "300ms", before: str = "", **options) -> Row:
    usage = f'"timeout_{name} DURATION"'
    column = 2 + len(f"timeout_{name}")
    expected = "expected a duration from 1ms to 24h, such as 5ms, 10s or 2h"
    # What a timeout does to TCP is looked at on connections of our own, which a splice has not.
    return Row(f"splice off; {before}timeout_{name} {value}", proof, {
        f"timeout_{name}": f"2:1: DURATION is missing; expected {usage}",
        f"timeout_{name} 60": f'2:{column}: found "60" for DURATION of {usage}; {expected}',
        f"timeout_{name} 25h": f'2:{column}: found "25h" for DURATION of {usage}; {expected}',
    }, **options)


def check_time(name: str, value: str, proof: Callable, **options) -> Row:
    return Row(value, proof, {
        f"{name} 5": f'4:{2 + len(name)}: found "5" for DURATION of "{name} DURATION"; '
                     "expected a duration from 10ms to 1h, such as 5ms, 10s or 2h"}, **options)


def check_count(name: str, value: str, proof: Callable, **options) -> Row:
    return Row(value, proof, {
        f"{name} {wrong}": f'4:6: found "{wrong}" for TIMES of "{name} TIMES"; {COUNT} 1000'
        for wrong in ("0", "1001", "often")}, **options)


def schedule(name: str, proof: Callable, **options) -> Row:
    column = 2 + len(name)
    return Row(name, proof, {
        f"{name} 1": f'2:{column}: found "1" too much; expected "{name}"',
        f"{name}\nschedule_hash source": "3:1: found a second schedule; the first is in line 2",
    }, **options)


def in_pools_too(rows: dict[str, Row]) -> dict[tuple[str, str], Row]:
    return {(block, keyword): row for block in ("virtual_server", "pool")
            for keyword, row in rows.items()}


# ---- the table -----------------------------------------------------------------------------------

TOP = {
    "aggregator": Row("aggregator { from wire1 to wire2 }", proofs.carries_frames, {
        "aggregator": '1:1: found no interfaces; expected "from INTERFACE to INTERFACE"',
        "aggregator { from wire1 to wire1 }":
            '1:28: found interface "wire1" twice; expected two different ones',
        "aggregator { from wire1 to wire2; ag_timer 2s }":
            '1:44: found "2s" for DURATION of "ag_timer DURATION"; '
            "expected a duration from 1us to 1s, such as 5ms, 10s or 2h"},
        switch=proofs.BesideAWire),
    "coalesce": Row("coalesce 2ms", proofs.pauses_after_packets, {
        "coalesce 1s": '1:10: found "1s" for DURATION of "coalesce DURATION"; '
                       "expected a duration from 1us to 10ms, such as 5ms, 10s or 2h"}),
    "control_socket": Row("", proofs.answers_control, {
        "control_socket here": '1:16: found "here"; '
                               "expected an absolute path of at most 107 bytes, or off"}),
    "echo_server": Row(f"echo_server {HERE} 7", proofs.echoes, {
        f"echo_server {HERE}": '1:1: PORT is missing; expected "echo_server ADDRESS PORT { ... }"',
        f"echo_server {HERE} 8080": f"2:27: {TAKEN}"}),
    "event_log": Row("event_log LOG", proofs.writes_events, {
        "event_log events": '1:11: found "events"; expected an absolute path'}),
    "interface": Row("", proofs.uses_interfaces, {
        "interface": '1:1: NAME is missing; expected "interface NAME { ... }"',
        "interface a-name-of-16-let": '1:11: found "a-name-of-16-let"; '
                                      "expected an interface name of at most 15 letters"}),
    "local_ports": Row("local_ports 50000 50099", proofs.uses_local_ports, {
        "local_ports 80 90": '1:13: found "80" for FIRST of "local_ports FIRST LAST"; '
                             "expected a whole number from 1024 to 65535",
        "local_ports 2000 1999": "1:18: found LAST 1999 below FIRST 2000; "
                                 "expected FIRST to be at most LAST"}),
    "log_level": Row("log_level error", proofs.logs_no_info, {
        "log_level loud": '1:11: found "loud" for LEVEL of "log_level debug|info|warning|error"; '
                          "expected one of: debug, info, warning, error"},
        switch=proofs.QuietSwitch),
    "max_buffer_memory": Row("max_buffer_memory 1M", proofs.bounds_buffers, {
        "max_buffer_memory 1k": '1:19: found "1k" for SIZE of "max_buffer_memory SIZE"; '
                                "expected a size from 1M to 1024G, such as 64k or 4M"},
        servers=SCRIPTED[:1], script=proofs.never_end),
    "max_connections": Row("max_connections 4", proofs.bounds_connections_of_the_stack, {
        "max_connections 0": '1:17: found "0" for CONNECTIONS of "max_connections CONNECTIONS"; '
                             f"{COUNT} 16777216"}),
    "metrics": Row("metrics 127.0.0.1 9464", proofs.serves_metrics, {
        "metrics 127.0.0.1": '1:1: PORT is missing; expected "metrics ADDRESS PORT"',
        f"metrics {HERE} 8080": f"2:27: {TAKEN}"}),
    "pool": Row(f"pool three {{ real_server {B3} }}\n"
                + virtual_server("match path_prefix / pool three", (), SECOND_PORT),
                proofs.serves_b3, {
        f"pool a/b {{ real_server {B3} }}":
            '1:6: found "a/b"; expected a name of letters, digits, "-" and "_"',
        "pool three": "1:6: found a pool without servers; "
                      'expected at least one "real_server ADDRESS PORT"',
        f"{POOL_TWO}{POOL_TWO}": '2:6: found pool "two" a second time; it is already in line 1'}),
    "shards": Row("shards 2", proofs.has_two_shards, {
        "shards 65": f'1:8: found "65" for THREADS of "shards THREADS"; {COUNT} 64'}),
    "splice_rules": Row("splice_rules 2", proofs.has_room_for_one_splice, {
        "splice_rules 0": '1:14: found "0" for RULES of "splice_rules RULES"; '
                          "expected a whole number from 2 to 16777216"}, frame="spliced"),
    "tcp": Row("tcp { congestion newreno }", proofs.uses_newreno, {
        "tcp 1": '1:5: found "1" too much; expected "tcp { ... }"',
        "tcp { backlog 1 }": '1:7: unknown word "backlog" in tcp; expected one of: congestion, '
            "connect_timeout, ecn, keepalive, linger_timeout, max_time_wait, nodelay, "
            "receive_buffer, send_buffer, syn_queue, teardown_offload, time_wait, unsent_buffer, "
            "user_timeout"}),
    "virtual_server": Row(virtual_server("", [B3], SECOND_PORT), proofs.serves_b3, {
        f"virtual_server {HERE} 80": '1:27: found no server; expected at least one '
                                     '"real_server ADDRESS PORT" or "match ... pool NAME"',
        virtual_server(): f"8:27: {TAKEN}",
        f"virtual_server 224.0.0.1 80 {{ real_server {B1} }}":
            "1:16: found 224.0.0.1; expected a unicast address"}),
}

VIRTUAL_SERVER = {
    "accept_proxy": Row("accept_proxy", proofs.believes_proxy_header, {
        "accept_proxy v1": '2:14: found "v1" too much; expected "accept_proxy"'}),
    "access_log": Row("balance request; access_log LOG common", proofs.writes_access_log, {
        "access_log log": '2:12: found "log"; expected an absolute path',
        "access_log /log xml": '2:17: found "xml" for FORMAT of "access_log PATH [json|common]"; '
                               "expected one of: json, common",
        "protocol tls; access_log /log common": "2:15: found access_log in the common format "
                                                "for protocol tls; it needs protocol http"}),
    "add_header": Row("add_header X-Forwarded-For", proofs.tells_client_in_header, {
        "add_header Via": '2:12: found "Via" for NAME of "add_header X-Forwarded-For"; '
                          "expected one of: X-Forwarded-For",
        "protocol tls; add_header X-Forwarded-For":
            "2:15: found add_header for protocol tls; it needs protocol http"}),
    "balance": Row("balance request", proofs.balances_requests, {
        "balance packet": '2:9: found "packet" for UNIT of "balance connection|request"; '
                          "expected one of: connection, request",
        "protocol tcp; balance request":
            "2:15: found balance request for protocol tcp; it needs protocol http"}),
    "listen": Row(f"listen {HERE} {SECOND_PORT}", proofs.listens_twice, {
        f"listen {HERE} 0": '2:19: found "0" for PORT of "listen ADDRESS PORT"; '
                            "expected a whole number from 1 to 65535",
        f"listen {HERE} 8080": f"2:19: {TAKEN}"}),
    "listen_backlog": Row("listen_backlog 1; max_connections 1",
                          proofs.drops_clients_beyond_backlog, {
        "listen_backlog 0": '2:16: found "0" for CONNECTIONS of "listen_backlog CONNECTIONS"; '
                            f"{COUNT} 1048576"}),
    "match": Row("host two.example.org pool two", proofs.sends_b2_what_matches, {
        "": f"2:1: CONDITION is missing; expected {MATCH}",
        "hots two.example.org pool two":
            f'2:7: found "hots" for CONDITION of {MATCH}; expected one of: '
            'host, path, path_prefix, header, sni, alpn, pool (did you mean "host"?)'},
        frame="match"),
    "max_connections": Row("max_connections 1", proofs.lets_second_client_wait, {
        "max_connections 0": '2:17: found "0" for CONNECTIONS of "max_connections CONNECTIONS"; '
                             f"{COUNT} 16777216"}),
    "max_request_head": Row("max_request_head 1k", proofs.refuses_longer_head, {
        "max_request_head 100": '2:18: found "100" for SIZE of "max_request_head SIZE"; '
                                "expected a size from 1k to 1M, such as 64k or 4M",
        "protocol tcp; max_request_head 8k":
            "2:15: found max_request_head for protocol tcp; it needs protocol http or tls"}),
    "protocol": Row("protocol tcp", proofs.chooses_at_once, {
        "protocol htpp": '2:10: found "htpp" for PROTOCOL of "protocol http|tls|tcp"; '
                         'expected one of: http, tls, tcp (did you mean "http"?)'}),
    "send_proxy": Row("send_proxy v1", proofs.tells_client_in_proxy_header, {
        "send_proxy v3": '2:12: found "v3" for VERSION of "send_proxy v1|v2"; '
                         'expected one of: v1, v2 (did you mean "v1"?)'},
        servers=[f"{address_of('b1')} {PROXIED}"]),
    "setup_offload": Row("setup_offload off", proofs.shakes_hands_by_itself, {
        "setup_offload maybe": '2:15: found "maybe" for SETUP of "setup_offload off|on|deferred"; '
                               "expected one of: off, on, deferred"}),
    "splice": Row("splice off", proofs.relays, {
        "splice maybe": '2:8: found "maybe" for MODE of "splice on|off|early"; '
                        "expected one of: off, on, early",
        "balance request; splice on":
            "2:18: found splice with balance request; it needs requests that are not looked at"}),
    "splice_after": Row("splice_after 1000000", proofs.splices_in_the_process, {
        "splice_after soon": '2:14: found "soon" for PACKETS of "splice_after PACKETS"; '
                             "expected a whole number from 0 to 1073741824"}),
    "teardown_offload": Row("splice off; teardown_offload on",
                            proofs.leaves_closing_to_the_nic_stack, {
        "teardown_offload maybe": '2:18: found "maybe" for the switch of '
                                  '"teardown_offload on|off"; expected one of: off, on'}),
    "timeout_close": timeout("close", proofs.rests_after_reset, "1h", before="protocol tcp; ",
                             servers=SCRIPTED[:1], script=proofs.reset),
    "timeout_closewait": timeout("closewait", proofs.ends_half_closed, before="protocol tcp; ",
                                 servers=SCRIPTED[:1], script=proofs.never_close),
    "timeout_established": timeout("established", proofs.ends_idle),
    "timeout_finwait": timeout("finwait", proofs.ends_unanswered_fin, before="balance request; ",
                               servers=SCRIPTED[:1], script=proofs.never_close),
    "timeout_lastack": timeout("lastack", proofs.ends_unacknowledged_last_fin,
                               before="protocol tcp; ", servers=SCRIPTED[:1],
                               script=proofs.close_late),
    "timeout_listen": timeout("listen", proofs.refuses_late_head),
    "timeout_synack": timeout("synack", proofs.answers_for_silent_server, servers=SCRIPTED[:1],
                              script=say_nothing),
    "timeout_synrecv": timeout("synrecv", proofs.ends_handshake),
    "timeout_synsent": timeout("synsent", proofs.answers_for_silent_server, servers=[NOBODY]),
    "timeout_timewait": timeout("timewait", proofs.rests_after_close),
}

POOL = {
    "real_server": Row("", proofs.takes_turns, {
        "real_server 198.18.1.14": f"2:1: PORT is missing; expected {SERVER}",
        "real_server 0.0.0.0 80": "2:13: found 0.0.0.0; expected the address of one server",
        f"real_server {B1}": f"3:27: found real_server {B1.replace(' ', ':')} a second time; "
                             "it is already in line 2"}),
    "schedule_hash": Row("schedule_hash source", proofs.same_source_same_server, {
        "schedule_hash": f"2:1: INPUT is missing; expected {HASH}",
        "schedule_hash url": f'2:15: found "url" for INPUT of {HASH}; expected one of: '
                             'source, uri, header, cookie (did you mean "uri"?)'}),
    "schedule_lc": schedule("schedule_lc", proofs.avoids_busy_server, servers=[SCRIPTED[0], B2],
                            script=say_nothing),
    "schedule_p2c": schedule("schedule_p2c", proofs.avoids_busy_server, servers=[SCRIPTED[0], B2],
                             script=say_nothing),
    "schedule_rr": schedule("schedule_rr", proofs.takes_turns),
    "schedule_wlc": schedule("schedule_wlc", proofs.keeps_three_times_as_many,
                             servers=[f"{SCRIPTED[0]} {{ weight 3 }}", SCRIPTED[1]],
                             script=say_nothing),
    "schedule_wrr": schedule("schedule_wrr", proofs.serves_b1_three_times_of_four,
                             servers=[f"{B1} {{ weight 3 }}", B2]),
}

REAL_SERVER = {
    "backup": Row("backup", proofs.only_b2, {
        "backup yes": '4:8: found "yes" too much; expected "backup"'}),
    "health_check": Row("health_check tcp { fall 1 }", proofs.first_goes_down, {
        "health_check": f"4:1: KIND is missing; expected {CHECK}",
        "health_check icmp": f'4:14: found "icmp" for KIND of {CHECK}; expected one of: http, tcp',
        "health_check http health": '4:19: found "health"; expected a path, such as /health',
        "health_check tcp /": f'4:18: found "/" too much; expected {CHECK}'}, servers=[REFUSES]),
    "max_connections": Row("max_connections 1", proofs.passes_over_full_server, {
        "max_connections no": '4:17: found "no" for CONNECTIONS of "max_connections CONNECTIONS"; '
                              f"{COUNT} 16777216"}),
    "weight": Row("weight 3", proofs.serves_b1_three_times_of_four, {
        f"weight {wrong}": f'4:8: found "{wrong}" for SHARE of "weight SHARE"; {COUNT} 256'
        for wrong in ("0", "257", "1.5")}),
}

HEALTH_CHECK = {
    "expect": Row("expect 500-599; fall 1", proofs.first_goes_down, {
        f"expect {wrong}":
            f'4:8: found "{wrong}"; expected statuses from 100 to 599, such as 200 or 200-399'
        for wrong in ("399-200", "200-", "99", "ok")}),
    "fall": check_count("fall", "fall 1000" + OFTEN, proofs.failures_do_not_suffice,
                        servers=SCRIPTED[:1], script=proofs.say_sick),
    "interval": check_time("interval", "interval 50ms; timeout 50ms", proofs.checks_often),
    "rise": check_count("rise", "rise 1000; fall 1" + OFTEN, proofs.successes_do_not_suffice,
                        servers=SCRIPTED[:1], script=proofs.say_sick),
    "timeout": check_time("timeout", "timeout 1h; interval 1h", proofs.waits_for_answer,
                          servers=SCRIPTED[:1], script=say_nothing),
}

CONDITIONS = {
    "host": Row("host *.example.org host two.example.org pool two", proofs.sends_b2_what_matches, {
        "host example.org:80 pool two": f'2:12: found "example.org:80"; {A_NAME}',
        "host ex*.org pool two": f'2:12: found "ex*.org"; {A_NAME}'}),
    "path": Row("path /name pool two", proofs.sends_b2_what_matches, {
        "path name pool two": f'2:12: found "name"; {A_PATH}'}),
    "path_prefix": Row("path_prefix /name pool two", proofs.sends_b2_what_matches, {
        "path_prefix /a?b pool two": f'2:19: found "/a?b"; {A_PATH}'}),
    "header": Row("header X-Pool two pool two", proofs.sends_b2_what_matches, {
        "header X-Pool": f"2:1: VALUE is missing; expected {MATCH}",
        'header "X Pool" two pool two':
            '2:14: found "X Pool"; expected the name of a header, such as X-Beta'}),
    "sni": Row("sni two.example.org pool two", proofs.sends_b2_tls_that_matches, {
        "sni two:443 pool two": f'2:25: found "two:443"; {A_NAME}',
        "host example.org pool two":
            '2:21: found "match host" for protocol tls; it needs protocol http'},
        frame="match of tls"),
    "alpn": Row("alpn two pool two", proofs.sends_b2_tls_that_matches, {
        "alpn": f"2:15: alpn is missing; expected {MATCH}",
        "path / pool two": '2:21: found "match path" for protocol tls; it needs protocol http'},
        frame="match of tls"),
    "pool": Row("host two.example.org pool two", proofs.sends_b2_what_matches, {
        "pool two": '2:7: found "pool" first; expected a condition, such as host example.org',
        "host two.example.org pool tow":
            '2:33: found pool "tow", which is not defined; did you mean "two"?'}),
}

HASH_INPUTS = {
    "source": Row("source", proofs.same_source_same_server, {
        "source 1": f'2:22: found "1" too much; expected {HASH}'}),
    "uri": Row("uri", proofs.hashes(lambda value: request(f"/{value}")), {
        "uri; protocol tcp": "2:1: found schedule_hash of a request for protocol tcp; "
                             "it needs protocol http, or source"}),
    "header": Row("header X-User",
                  proofs.hashes(lambda value: request("/name", f"X-User: {value}\r\n")), {
        "header": f"2:1: NAME is missing; expected {HASH}",
        "header a:b": '2:22: found "a:b"; expected the name of a header, such as X-User'}),
    "cookie": Row("cookie session",
                  proofs.hashes(lambda value: request("/name", f"Cookie: session={value}\r\n")), {
        "cookie a=b": '2:22: found "a=b"; expected the name of a cookie, such as session'}),
}


def of_block(block: str, rows: dict[str, Row]) -> dict[tuple[str, str], Row]:
    return {(block, keyword): row for keyword, row in rows.items()}


TABLE: dict[tuple[str, str], Row] = {
    **of_block("", TOP), **of_block("virtual_server", VIRTUAL_SERVER), **in_pools_too(POOL),
    **of_block("real_server", REAL_SERVER), **of_block("health_check", HEALTH_CHECK),
    **of_block("match", CONDITIONS), **of_block("schedule_hash", HASH_INPUTS),
}
