"""Servers that do exactly what a test says, on kernel sockets of a host of the lab, and raw clients.

    with ScriptedServer(lab, 8000, answer(b"HTTP/1.1 200 OK\\r\\n...")) as server: ...

A script is called with each connection, in a thread of its own; the connection is closed when it
returns. What arrived is kept: a test asks what a server got, and that it got nothing.
"""

import socket
import threading
import time

from harness.lab import FAIRLEAD_ADDRESS, Lab

ADDRESS = "198.18.1.2"  # of server1, beside those of the backends


class Connection:
    """A socket that remembers what it received."""

    def __init__(self, raw: socket.socket):
        self.raw = raw
        self.received = bytearray()  # and not yet returned
        self.ended = threading.Event()  # the peer's FIN or RST was seen

    def receive(self, size: int = 65536) -> bytes:
        """b"" at the end, whichever way it came."""
        try:
            data = self.raw.recv(size)
        except ConnectionResetError:
            data = b""
        self.received += data
        if not data:
            self.ended.set()
        return data

    def receive_until(self, mark: bytes) -> bytes:
        """What was received and not returned before, up to and with the mark, or to the end."""
        while mark not in self.received and self.receive():
            pass
        head, found, self.received = self.received.partition(mark)
        return bytes(head + found)

    def receive_exactly(self, size: int) -> bytes:
        while len(self.received) < size and self.receive():
            pass
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    def receive_to_end(self) -> bytes:
        while self.receive():
            pass
        data = bytes(self.received)
        self.received.clear()
        return data

    def send(self, data: bytes) -> None:
        self.raw.sendall(data)


class ScriptedServer:
    """Listens until the block ends. `host` and `address` say where."""

    def __init__(self, lab: Lab, port: int, script, host: str = "server1", address: str = ADDRESS):
        self.endpoint = f"{address} {port}"
        self.name = f"{address}:{port}"
        self.script = script
        self.connections: list[Connection] = []
        with lab.entered(host):
            self.listener = socket.create_server((address, port), backlog=4096)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            raw.settimeout(60)
            connection = Connection(raw)
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        try:
            self.script(connection)
        except OSError:
            connection.ended.set()
        finally:
            connection.raw.close()

    def received(self) -> bytes:
        """Everything, from all connections, that scripts have not taken."""
        return b"".join(connection.received for connection in self.connections)

    def wait_for_connections(self, count: int, timeout: float = 10) -> None:
        wait_until(lambda: len(self.connections) >= count, timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        for connection in self.connections:
            connection.raw.close()


def wait_until(true, timeout: float = 10, what: str = "what the test waits for") -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"{what} has not come true after {timeout} s"
        time.sleep(0.01)


# ---- scripts -------------------------------------------------------------------------------------

def response(body: bytes = b"", status: str = "200 OK", headers: str = "") -> bytes:
    return (f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n").encode() + body


def answer(data: bytes):
    """Every request without a body gets `data`."""

    def script(connection: Connection) -> None:
        while connection.receive_until(b"\r\n\r\n").endswith(b"\r\n\r\n"):
            connection.send(data)

    return script


def say_nothing(connection: Connection) -> None:
    """Reads for ever."""
    while connection.receive():
        pass


def answer_and_close(data: bytes):
    def script(connection: Connection) -> None:
        connection.receive_until(b"\r\n\r\n")
        connection.send(data)

    return script


# ---- clients -------------------------------------------------------------------------------------

def connect(lab: Lab, port: int, family: str = "ipv4", timeout: float = 10) -> Connection:
    """From the lab's client to Fairlead's address."""
    with lab.entered("client"):
        return Connection(socket.create_connection((FAIRLEAD_ADDRESS[family], port), timeout))


def connect_many(lab: Lab, port: int, count: int,
                 address: str = FAIRLEAD_ADDRESS["ipv4"]) -> list[Connection]:
    with lab.entered("client"):
        return [Connection(socket.create_connection((address, port), 10))
                for _ in range(count)]


def request(path: str = "/", headers: str = "", method: str = "GET", host: str = "x") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n".encode()


def read_response(connection: Connection) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (names in lower case), body by Content-Length or to the end."""
    head = connection.receive_until(b"\r\n\r\n")
    assert head.endswith(b"\r\n\r\n"), f"no response, but {head!r} and the end"
    lines = head.decode("latin1").split("\r\n")
    headers = dict((name.lower(), value.strip())
                   for name, value in (line.split(":", 1) for line in lines[1:-2]))
    if "content-length" in headers:
        body = connection.receive_exactly(int(headers["content-length"]))
    else:
        body = connection.receive_to_end()
    return int(lines[0].split()[1]), headers, body


def ask(lab: Lab, port: int, data: bytes, timeout: float = 10) -> tuple[int, dict[str, str], bytes]:
    """One response to these bytes, on a connection of its own."""
    connection = connect(lab, port, timeout=timeout)
    try:
        connection.send(data)
        return read_response(connection)
    finally:
        connection.raw.close()
