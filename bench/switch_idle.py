"""What clients cost that have had an answer each and stay connected, for bench/switch.py.

Memory: the growth of the proxy's resident memory, plus its kernel sockets times what one costs, as
measured with as many clients of a server: half the growth of all slab caches. What the kernel's table
of splices takes was taken when the proxy started, and is not in it."""

import itertools
import re
import select
import socket
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from harness.lab import FAIRLEAD_ADDRESS, Lab
from harness.load import wrk
from harness.machine import process_seconds
from harness.proxies import Switch, virtual_server
from harness.scripted import connect_many, read_response, request

IDLE = 10_000
HELD = (0, 1_000, 100_000)


@dataclass
class Contender:
    name: str
    address: str
    port: int
    pid: int | None = None  # of the proxy

    def cpu_seconds(self) -> float:
        return process_seconds(self.pid) if self.pid else 0.0


class IdleClients:
    """Stay while the block lasts."""

    def __init__(self, lab: Lab, address: str, port: int, count: int):
        self.clients = connect_many(lab, port, count, address)
        for client in self.clients:
            client.send(request("/64"))
            try:
                status = read_response(client)[0]
            except TimeoutError as error:
                raise TimeoutError(f"{address} port {port}: no answer") from error
            assert status == 200, (address, port, status)
        time.sleep(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.raw.close()
        time.sleep(1)


# ---- memory --------------------------------------------------------------------------------------

def resident(pid: int) -> int:
    """Bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


def slab() -> int:
    meminfo = Path("/proc/meminfo").read_text(encoding="ascii")
    return int(re.search(r"Slab:\s+(\d+)", meminfo)[1]) * 1024


def kernel_sockets(lab: Lab) -> int:
    """TCP sockets of the proxies' host."""
    stat = lab.run("fairlead", ["cat", "/proc/net/sockstat"]).stdout
    return int(re.search(r"TCP: inuse (\d+)", stat)[1])


def measure_memory(lab: Lab, contenders: list[Contender]) -> dict[str, float]:
    """MB by name. Contenders of one process share its pools, which grow and do not shrink: each
    measurement is against the process as it began."""
    direct = next(c for c in contenders if c.pid is None)
    before = slab()
    with IdleClients(lab, direct.address, direct.port, IDLE):
        per_socket = (slab() - before) / 2 / IDLE
    proxies = [c for c in contenders if c.pid is not None]
    began = {c.pid: resident(c.pid) for c in proxies}
    found = {direct.name: 0.0}
    for contender in proxies:
        sockets = kernel_sockets(lab)
        with IdleClients(lab, contender.address, contender.port, IDLE):
            process = resident(contender.pid) - began[contender.pid]
            sockets = kernel_sockets(lab) - sockets
        found[contender.name] = (process + sockets * per_socket) / 1e6
    return found


# ---- how large the table is ----------------------------------------------------------------------

class Ghosts:
    """Spliced connections both of whose ends have gone without a word (TCP_REPAIR): many more than a
    process may have sockets. The switch has them until it stops."""

    SERVERS = [("198.18.1.2", 7000 + i) for i in range(5)]
    PORTS = range(8300, 8400)
    LOCAL_PORTS = (10_000, 31_999)
    CLIENT_PORTS = (10_000, 10_999)  # for each of ours
    TCP_REPAIR = 19

    def __init__(self, lab: Lab):
        self.lab = lab
        with lab.entered("server1"):
            self.listeners = [socket.create_server(server, backlog=16) for server in self.SERVERS]
        first, last = self.CLIENT_PORTS
        self.free = itertools.product(self.PORTS, range(first, last + 1))

    @classmethod
    def configuration(cls) -> str:
        """With 22,000 local ports for each server."""
        servers = [f"{address} {port}" for address, port in cls.SERVERS]
        listeners = "".join(f"  listen {FAIRLEAD_ADDRESS['ipv4']} {port}\n" for port in cls.PORTS[1:])
        return (f"local_ports {' '.join(map(str, cls.LOCAL_PORTS))}\n"
                + virtual_server(f"  protocol tcp\n{listeners}", servers, cls.PORTS[0]))

    @classmethod
    def keep_ports_from_kernel(cls, lab: Lab) -> None:
        for host, (first, last) in (("fairlead", cls.LOCAL_PORTS), ("client", cls.CLIENT_PORTS)):
            lab.run(host, ["sysctl", "-qw", f"net.ipv4.ip_local_reserved_ports={first}-{last}"])

    def make(self, count: int) -> None:
        with self.lab.entered("client"):
            for port, client_port in itertools.islice(self.free, count):
                client = socket.socket()
                client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                client.settimeout(10)
                client.bind(("0.0.0.0", client_port))
                client.connect((FAIRLEAD_ADDRESS["ipv4"], port))
                ready, *_ = select.select(self.listeners, [], [], 10)
                server, _ = ready[0].accept()
                for one, other in ((client, server), (server, client)):
                    one.sendall(b"x")
                    assert other.recv(1) == b"x"
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, self.TCP_REPAIR, 1)
                    end.close()


@dataclass
class TableRates:
    """Requests per second, with so many other spliced connections there."""

    spliced: float
    direct: float


def measure_table(lab: Lab, spliced: Contender, direct: Contender, switch: Switch,
                  options) -> dict[int, TableRates]:
    """By number. The two alternate: the machine gets slower and faster by more than the table does."""
    ghosts = Ghosts(lab)
    rates: dict[int, TableRates] = {}
    for held in HELD:
        ghosts.make(held - max(rates, default=0))
        sunk = switch.show_json("stats")["splices"]["counters"]["sunk"]
        assert sunk >= held, (sunk, held)
        measured: dict[str, list[float]] = {spliced.name: [], direct.name: []}
        for _ in range(options.repetitions):
            for contender in (spliced, direct):
                url = f"http://{contender.address}:{contender.port}/64"
                measured[contender.name].append(
                    wrk(lab, url, seconds=options.seconds, before=options.others).rate)
        rates[held] = TableRates(*map(statistics.median, measured.values()))
    return rates
