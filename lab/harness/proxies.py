"""What may stand between client and backends, each on a port of its own: Fairlead, HAProxy, nginx.

All with one thread, and set up to do the same: HTTP/1.1 with keep-alive on both sides, each backend
in turn."""

from pathlib import Path

from harness.backends import HTTP, NAMES, address_of
from harness.lab import FAIRLEAD_ADDRESS, Lab
from harness.process import Process
from harness.servers import Fairlead, start_nginx

FAIRLEAD_PORT, HAPROXY_PORT, NGINX_PORT = 8080, 8181, 8282
INTERFACES = "interface fairlead\ninterface server1\n"


BACKENDS = tuple(f"{address_of(name)} {HTTP}" for name in NAMES)


def virtual_server(body: str = "", servers=BACKENDS, port: int = FAIRLEAD_PORT) -> str:
    """On Fairlead's address. servers: "ADDRESS PORT" of each, with or without a block."""
    lines = "".join(f"  real_server {server}\n" for server in servers)
    return f"virtual_server {FAIRLEAD_ADDRESS['ipv4']} {port} {{\n{body}\n{lines}}}\n"


class Switch(Fairlead):
    """Fairlead with interfaces to both sides."""

    name, port = "Fairlead", FAIRLEAD_PORT

    def __init__(self, lab: Lab, binaries: Path, scratch: Path, config: str | None = None,
                 before=(), interfaces: str = INTERFACES):
        self.interfaces = interfaces
        super().__init__(lab, binaries, scratch, virtual_server() if config is None else config,
                         before)

    def configure(self, config: str) -> None:
        super().configure(self.interfaces + config)

    def counters(self) -> dict:
        """What the switch has counted, by name."""
        return self.show_json("stats")["switch"]["counters"]

    def sessions(self) -> int:
        """How many clients there are."""
        return self.show_json("stats")["switch"]["sessions"]

    def servers(self) -> dict[str, dict]:
        """Rows of `show servers` by "ADDRESS:PORT"."""
        return {row["server"]: row for row in self.show_json("servers")["servers"]}


class HAProxy:
    """servers: "ADDRESS PORT" of each; by default all backends."""

    name, port = "HAProxy", HAPROXY_PORT

    def __init__(self, lab: Lab, scratch: Path, servers=BACKENDS, before=()):
        lines = "".join(f"  server s{i} {':'.join(server.split())}\n"
                        for i, server in enumerate(servers))
        config = scratch / "haproxy.cfg"
        config.write_text(f"""global
  nbthread 1
  maxconn 12288
  no strict-limits
defaults
  mode http
  timeout connect 5s
  timeout client 15m
  timeout server 15m
listen web
  bind {FAIRLEAD_ADDRESS['ipv4']}:{self.port} backlog 8192
  balance roundrobin
{lines}""")
        self.process: Process = lab.start(
            "fairlead", [*before, "haproxy", "-db", "-f", config], scratch / "haproxy.log")
        listening = f":{self.port} "
        self.process.wait_until(
            lambda: listening in lab.run("fairlead", ["ss", "-Hltn"]).stdout, "listener")

    def stop(self) -> None:
        self.process.stop()


class NginxProxy:
    name, port = "nginx", NGINX_PORT

    def __init__(self, lab: Lab, scratch: Path, servers=BACKENDS, before=()):
        root = scratch / "nginx-proxy"
        root.mkdir()
        lines = "".join(f"server {':'.join(server.split())};" for server in servers)
        # keepalive: connections to backends that may be idle; without it there is one per request.
        self.process: Process = start_nginx(lab, "fairlead", root, f"""
            keepalive_timeout 15m; keepalive_requests 1000000000;
            upstream web {{ {lines} keepalive 256; keepalive_requests 1000000000; }}
            server {{
              listen {FAIRLEAD_ADDRESS['ipv4']}:{self.port} backlog=8192;
              location / {{ proxy_pass http://web; proxy_http_version 1.1;
                proxy_set_header Connection ""; proxy_max_temp_file_size 0; }}
            }}""", before)

    def stop(self) -> None:
        self.process.stop()


def url(proxy, path: str = "/") -> str:
    return f"http://{FAIRLEAD_ADDRESS['ipv4']}:{proxy.port}{path}"
