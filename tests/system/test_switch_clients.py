"""Clients of all kinds work through the switch, and every byte arrives.

With --proxy haproxy those of plain HTTP run through that: all of them pass there."""

import hashlib
import http.client
import os
import shutil
import threading

import pytest
from harness import websocket
from harness.backends import FILES, HTTPS, NAMES, address_of
from harness.lab import FAIRLEAD_ADDRESS
from harness.load import ab_failures, h2load_failures, wrk
from harness.proxies import FAIRLEAD_PORT, url, virtual_server
from harness.scripted import (ScriptedServer, answer, answer_and_close, ask, connect, read_response,
                              request, response)

MIB = 1 << 20
SCRIPTED = 8000  # port


@pytest.fixture
def proxy(backends, in_front_of):  # pylint: disable=unused-argument
    """In front of the three web servers."""
    return in_front_of()


def curl(lab, *words, **options) -> str:
    return lab.run("client", ["curl", "-sS", "--max-time", "20", *words], **options).stdout


def http_connection(lab, port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(FAIRLEAD_ADDRESS["ipv4"], port, timeout=20)
    with lab.entered("client"):
        connection.connect()
    return connection


# ---- programs ------------------------------------------------------------------------------------

def test_curl_gets_every_file_from_each_backend_in_turn(web_lab, backends, proxy, tmp_path):
    for name in FILES:
        met = []
        for _ in range(3):
            met.append(curl(web_lab, "-o", tmp_path / name, "-w", "%header{x-backend}",
                            url(proxy, f"/{name}")))
            assert (tmp_path / name).read_bytes() == (backends.files / name).read_bytes()
        assert sorted(met) == list(NAMES)


@pytest.mark.parametrize("path", ["/64", "/10k", "/1M"])
def test_wrk_sees_no_error(web_lab, proxy, path):
    report = wrk(web_lab, url(proxy, path), seconds=2)
    assert report.errors == {} and report.requests > 100


def test_wrk_sees_no_error_with_a_connection_per_request(web_lab, proxy):
    report = wrk(web_lab, url(proxy, "/64"), seconds=2, close=True)
    assert report.errors == {} and report.requests > 1000


def test_h2load_sees_no_error(web_lab, proxy):
    assert h2load_failures(web_lab, url(proxy, "/10k"), 5000, 50) == {
        "total": 5000, "started": 5000, "done": 5000, "succeeded": 5000, "failed": 0, "errored": 0,
        "timeout": 0}


@pytest.mark.parametrize("options", [[], ["-k"]], ids=["close", "keep-alive"])
def test_ab_sees_no_error(web_lab, proxy, options):
    assert ab_failures(web_lab, url(proxy, "/64"), 5000, 50, *options) == {
        "complete": 5000, "failed": 0, "write": 0, "status": 0}


def test_http_client_makes_many_requests_on_one_connection(web_lab, backends, proxy):
    connection = http_connection(web_lab, proxy.port)
    for i in range(300):
        name = list(FILES)[i % len(FILES)]
        connection.request("GET", f"/{name}")
        assert connection.getresponse().read() == (backends.files / name).read_bytes()


def test_chromium_shows_a_page(web_lab, proxy):
    browser = shutil.which("chromium")
    if not browser:
        pytest.skip("CHROMIUM IS NOT INSTALLED: nobody has looked with a browser")
    page = web_lab.run("client", [browser, "--headless", "--no-sandbox", "--disable-gpu",
                                  "--dump-dom", url(proxy, "/name")]).stdout
    assert any(name in page for name in NAMES), page


# ---- much, mixed, intact -------------------------------------------------------------------------

def fetch_mixed(lab, backends, proxy, total: int) -> None:
    """Four connections at a time fetch files of many sizes until `total` bytes were compared."""
    sizes = [0, 1, 63, 1447, 1448, 4096, 16383, 65536, 100_001, MIB + 1, 4 * MIB, 16 * MIB + 3]
    expected = {}
    for size in sizes:
        content = os.urandom(size)
        backends.add_file(f"mixed{size}", content)
        expected[size] = hashlib.sha256(content).digest()
    wrong, fetched = [], [0] * 4

    def fetch(me: int) -> None:
        try:
            connection, i = http_connection(lab, proxy.port), me
            while fetched[me] < total / len(fetched) and not wrong:
                size, i = sizes[i % len(sizes)], i + 1
                connection.request("GET", f"/mixed{size}")
                seen = hashlib.sha256(connection.getresponse().read()).digest()
                assert seen == expected[size], f"{size} bytes are not the file's"
                fetched[me] += size
        except Exception as error:  # pylint: disable=broad-exception-caught
            wrong.append(repr(error))

    threads = [threading.Thread(target=fetch, args=(me,)) for me in range(len(fetched))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and sum(fetched) >= total


def test_256_mib_of_mixed_responses_arrive_intact(web_lab, backends, proxy):
    fetch_mixed(web_lab, backends, proxy, 256 * MIB)


@pytest.mark.soak
def test_10_gib_of_mixed_responses_arrive_intact(web_lab, backends, proxy):
    fetch_mixed(web_lab, backends, proxy, 10240 * MIB)


# ---- HTTP/1.1 ------------------------------------------------------------------------------------

def read_chunked(connection) -> bytes:
    body = b""
    while size := int(connection.receive_until(b"\r\n"), 16):
        body += connection.receive_exactly(size)
        assert connection.receive_exactly(2) == b"\r\n"
    assert connection.receive_until(b"\r\n") == b"\r\n"
    return body


def chunked(body: bytes, size: int) -> bytes:
    pieces = (body[at:at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def echo_chunked(connection) -> None:
    """A script: asks for a body where the client waits for that, and sends it back in chunks."""
    while (head := connection.receive_until(b"\r\n\r\n").lower()).endswith(b"\r\n\r\n"):
        if b"expect: 100-continue" in head:
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if b"transfer-encoding: chunked" in head:
            body = read_chunked(connection)
        else:
            body = connection.receive_exactly(int(head.split(b"content-length:")[1].split()[0]))
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                        + chunked(body, 30_000))


@pytest.fixture
def chunk_proxy(web_lab, in_front_of):
    with ScriptedServer(web_lab, SCRIPTED, echo_chunked) as server:
        yield in_front_of(server.endpoint)


@pytest.mark.parametrize("options", [["-T"], ["-H", "Transfer-Encoding: chunked", "-T"]],
                         ids=["content-length", "chunked"])
def test_a_body_that_curl_uploads_comes_back_in_chunks(web_lab, chunk_proxy, tmp_path, options):
    sent = tmp_path / "sent"
    sent.write_bytes(os.urandom(8 * MIB + 5))
    curl(web_lab, "-f", *options, sent, "-H", "Expect: 100-continue", "-o", tmp_path / "back",
         url(chunk_proxy, "/x"))
    assert (tmp_path / "back").read_bytes() == sent.read_bytes()


def test_chunks_of_every_size_pass_in_both_directions(web_lab, chunk_proxy):
    connection = connect(web_lab, chunk_proxy.port)
    for size in (1, 2, 15, 16, 17, 1000, 65536):
        body = os.urandom(min(size * 50, 100_000))
        connection.send(request("/", "Transfer-Encoding: chunked\r\n", "POST")
                        + chunked(body, size))
        connection.receive_until(b"\r\n\r\n")
        assert read_chunked(connection) == body


def test_a_client_that_waits_for_100_continue_gets_it(web_lab, chunk_proxy):
    connection = connect(web_lab, chunk_proxy.port)
    connection.send(request("/", "Content-Length: 5\r\nExpect: 100-continue\r\n", "PUT"))
    assert connection.receive_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
    connection.send(b"hello")
    assert connection.receive_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    assert read_chunked(connection) == b"hello"


def test_answers_to_head_have_a_length_and_no_body(web_lab, proxy):
    connection = connect(web_lab, proxy.port)
    for _ in range(3):
        connection.send(request("/10k", method="HEAD"))
        head = connection.receive_until(b"\r\n\r\n").lower()
        assert head.startswith(b"http/1.1 200 ") and b"content-length: 10000" in head
    connection.send(request("/64"))
    assert len(read_response(connection)[2]) == 64


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_answers_without_a_body_are_followed_by_the_next(web_lab, in_front_of, status):
    bodiless = f"HTTP/1.1 {status}\r\nX-Empty: yes\r\n\r\n".encode()
    with ScriptedServer(web_lab, SCRIPTED, answer(bodiless)) as server:
        connection = connect(web_lab, in_front_of(server.endpoint).port)
        for _ in range(3):
            connection.send(request())
            assert b"x-empty" in connection.receive_until(b"\r\n\r\n").lower()


def test_interim_answers_are_passed_on(web_lab, in_front_of):
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
    with ScriptedServer(web_lab, SCRIPTED, answer(hints + response(b"done"))) as server:
        connection = connect(web_lab, in_front_of(server.endpoint).port)
        for _ in range(2):
            connection.send(request())
            assert b" 103 " in connection.receive_until(b"\r\n\r\n")
            assert read_response(connection)[2] == b"done"


def test_pipelined_requests_are_answered_in_order(web_lab, proxy):
    connection = connect(web_lab, proxy.port)
    order = [list(FILES)[i % 2] for i in range(60)]
    connection.send(b"".join(request(f"/{name}") for name in order))
    for name in order:
        assert len(read_response(connection)[2]) == FILES[name]


def test_a_request_may_come_byte_by_byte(web_lab, proxy):
    connection = connect(web_lab, proxy.port)
    for byte in request("/64", "X-Slow: yes\r\n"):
        connection.send(bytes([byte]))
    assert len(read_response(connection)[2]) == 64


def test_a_body_that_ends_with_the_connection_arrives_whole(web_lab, in_front_of):
    body = os.urandom(MIB + 7)
    until_close = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body
    with ScriptedServer(web_lab, SCRIPTED, answer_and_close(until_close)) as server:
        proxy = in_front_of(server.endpoint)
        for head in (request(), b"GET / HTTP/1.0\r\n\r\n"):
            assert ask(web_lab, proxy.port, head)[2] == body


def test_websocket_frames_of_every_length_are_echoed(web_lab, in_front_of):
    with ScriptedServer(web_lab, SCRIPTED, websocket.echo_server) as server:
        connection = connect(web_lab, in_front_of(server.endpoint).port)
        websocket.open_websocket(connection)
        for size in (0, 1, 125, 126, 65535, 65536, 3 * MIB):
            payload = os.urandom(size)
            assert websocket.exchange(connection, payload) == payload
        connection.send(websocket.frame(b"\x03\xe8", websocket.CLOSE, b"\0\0\0\0"))
        assert websocket.read_frame(connection)[0] == websocket.CLOSE
        assert connection.receive_to_end() == b""


# ---- IPv6, TLS -----------------------------------------------------------------------------------

def test_either_family_reaches_backends_of_the_other(web_lab, backends, start_switch):
    six = FAIRLEAD_ADDRESS["ipv6"]
    servers = [f"{address_of(name, family)} 80" for name, family in
               (("b1", "ipv4"), ("b2", "ipv6"))]
    start_switch(virtual_server(f"listen {six} {FAIRLEAD_PORT}", servers))
    for host in (FAIRLEAD_ADDRESS["ipv4"], f"[{six}]"):
        met = {curl(web_lab, "-f", f"http://{host}:{FAIRLEAD_PORT}/name").strip()
               for _ in range(2)}
        assert met == {"b1", "b2"}


@pytest.fixture
def tls_switch(backends, start_switch):  # pylint: disable=unused-argument
    pools = "".join(f"pool {name} {{ real_server {address_of(name)} {HTTPS} }}\n"
                    for name in ("b1", "b2"))
    body = "protocol tls\n" + "".join(f"match sni {name}.example.org pool {name}\n"
                                      for name in ("b1", "b2"))
    return start_switch(pools + virtual_server(body, servers=()))


@pytest.mark.parametrize("name", ["b1", "b2"])
def test_curl_meets_the_certificate_of_the_server_it_named(web_lab, backends, tls_switch, name):
    host = backends[name].host_name
    where = f"{host}:{tls_switch.port}"
    resolve = f"{where}:{FAIRLEAD_ADDRESS['ipv4']}"
    trust = ["--cacert", backends[name].certificate, "--resolve", resolve]
    assert curl(web_lab, "-f", *trust, f"https://{where}/name") == f"{name}\n"
    digest = hashlib.sha256((backends.files / "1M").read_bytes()).hexdigest()
    fetch = " ".join(["curl -sf", *map(str, trust), f"https://{where}/1M", "| sha256sum"])
    assert web_lab.run("client", ["sh", "-c", fetch]).stdout.split()[0] == digest


@pytest.mark.parametrize("name", ["b1", "b2"])
def test_openssl_meets_the_certificate_of_the_server_it_named(web_lab, backends, tls_switch, name):
    host = backends[name].host_name
    output = web_lab.run("client", [
        "openssl", "s_client", "-connect", f"{FAIRLEAD_ADDRESS['ipv4']}:{tls_switch.port}",
        "-servername", host, "-CAfile", backends[name].certificate, "-verify_hostname", host,
        "-verify_return_error"]).stdout
    assert "Verify return code: 0 (ok)" in output and f"CN = {host}" in output


def test_a_name_nobody_serves_ends_the_connection(web_lab, tls_switch):
    done = web_lab.run("client", [
        "openssl", "s_client", "-connect", f"{FAIRLEAD_ADDRESS['ipv4']}:{tls_switch.port}",
        "-servername", "b9.example.org"], check=False)
    assert done.returncode != 0
    assert tls_switch.counters()["no_route"] == 1
