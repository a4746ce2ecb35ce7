"""As much of WebSocket (RFC 6455) as an echo needs: the handshake, and frames of any length."""

import base64
import hashlib
import os
import struct

from harness.scripted import Connection

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
BINARY, CLOSE = 2, 8


def accept_value(key: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


def frame(payload: bytes, opcode: int = BINARY, mask: bytes = b"") -> bytes:
    size, flag = len(payload), 0x80 if mask else 0
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, flag | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, flag | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, flag | 127, size)
    return head + mask + (masked(payload, mask) if mask else payload)


def masked(payload: bytes, mask: bytes) -> bytes:
    """Its own inverse."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def read_frame(connection: Connection) -> tuple[int, bytes]:
    """Opcode and payload."""
    first, second = connection.receive_exactly(2)
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack("!H", connection.receive_exactly(2))
    elif size == 127:
        (size,) = struct.unpack("!Q", connection.receive_exactly(8))
    mask = connection.receive_exactly(4) if second & 0x80 else b""
    payload = connection.receive_exactly(size)
    assert len(payload) == size, "the connection ended within a frame"
    return first & 0x0F, masked(payload, mask) if mask else payload


def echo_server(connection: Connection) -> None:
    """A script for ScriptedServer."""
    head = connection.receive_until(b"\r\n\r\n")
    lines = (line.partition(b":") for line in head.split(b"\r\n"))
    key = next(value.strip() for name, _, value in lines
               if name.lower() == b"sec-websocket-key")
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept_value(key)
                    + b"\r\n\r\n")
    opcode = BINARY
    while opcode != CLOSE:
        opcode, payload = read_frame(connection)
        connection.send(frame(payload, opcode))


def open_websocket(connection: Connection, host: str = "ws.example.org") -> None:
    """The client's handshake; asserts the server's."""
    key = base64.b64encode(os.urandom(16))
    connection.send(b"GET /chat HTTP/1.1\r\nHost: " + host.encode() + b"\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key
                    + b"\r\n\r\n")
    head = connection.receive_until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert accept_value(key) in head, head


def exchange(connection: Connection, payload: bytes) -> bytes:
    """Sends it in a masked frame; what comes back."""
    connection.send(frame(payload, mask=os.urandom(4)))
    return read_frame(connection)[1]
