"""Three web servers behind the switch: nginx, one worker each, on addresses of host server1.

    198.18.1.11 b1    port 80    HTTP, over IPv6 too
    198.18.1.12 b2         443   HTTPS, each with a certificate of its own: b1.example.org …
    198.18.1.13 b3         8081  HTTP behind a PROXY header

Every answer says in X-Backend which one gave it. /64 /10k /1M are files of that size, the same on
all; /name is the backend's name, /seen what it knows of the request and of its client. What is PUT
to /uploads/NAME is kept."""

import os
from pathlib import Path

from harness.lab import Lab
from harness.process import Process, run
from harness.servers import start_nginx

NAMES = ("b1", "b2", "b3")
HTTP, HTTPS, PROXIED = 80, 443, 8081
FILES = {"64": 64, "10k": 10_000, "1M": 1 << 20}


def address_of(name: str, family: str = "ipv4") -> str:
    number = 10 + int(name[1:])
    return f"198.18.1.{number}" if family == "ipv4" else f"2001:db8:1::{number}"


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for `name`, and its key."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout",
         key, "-out", certificate])
    return certificate, key


class Backend:
    """One of them; it can be stopped and started."""

    def __init__(self, lab: Lab, name: str, files: Path, scratch: Path, before=()):
        self.lab, self.name, self.before = lab, name, before
        self.root = scratch / name
        self.uploads = self.root / "uploads"
        self.uploads.mkdir(parents=True)
        self.host_name = f"{name}.example.org"
        self.certificate, key = make_certificate(self.root, self.host_name)
        four, six = address_of(name), f"[{address_of(name, 'ipv6')}]"
        self.http = f"""
            keepalive_timeout 10m; keepalive_requests 1000000000; client_max_body_size 0;
            server {{
              listen {four}:{HTTP} backlog=8192; listen {six}:{HTTP};
              listen {four}:{HTTPS} ssl; listen {four}:{PROXIED} proxy_protocol;
              ssl_certificate {self.certificate}; ssl_certificate_key {key};
              root {files}; add_header X-Backend {name} always; default_type text/plain;
              location = / {{ return 200 "This is {name}.\n"; }}
              location = /name {{ return 200 "{name}\n"; }}
              location = /health {{ if (-f {self.root}/sick) {{ return 500; }} return 200 "well\n"; }}
              location = /seen {{ return 200 "backend={name} uri=$request_uri host=$http_host \
client=$remote_addr proxy=$proxy_protocol_addr xff=$http_x_forwarded_for connection=$connection\n"; }}
              location = /requests {{ stub_status; }}
              location /uploads/ {{ root {self.root}; dav_methods PUT; }}
            }}"""
        self.process: Process | None = None
        self.start()

    def start(self) -> None:
        self.process = start_nginx(self.lab, "server1", self.root, self.http, self.before)

    def stop(self) -> None:
        self.process.stop()
        (self.root / "pid").unlink(missing_ok=True)

    def sicken(self, sick: bool) -> None:
        """Whether /health says 500."""
        mark = self.root / "sick"
        if sick:
            mark.touch()
        else:
            mark.unlink(missing_ok=True)

    @property
    def endpoint(self) -> str:
        return f"{address_of(self.name)}:{HTTP}"

    def requests(self) -> int:
        """How many it has answered, this question not counted."""
        status = self.lab.run("server1", ["curl", "-sf", f"http://{self.endpoint}/requests"]).stdout
        handled = int(status.splitlines()[2].split()[2])  # accepts handled requests
        self.asked = getattr(self, "asked", 0) + 1
        return handled - self.asked


class Backends:
    """All three, and their files."""

    def __init__(self, lab: Lab, scratch: Path, before=()):
        self.lab = lab
        self.files = scratch / "files"
        self.files.mkdir()
        for name, size in FILES.items():
            self.add_file(name, os.urandom(size))
        self.all = [Backend(lab, name, self.files, scratch, before) for name in NAMES]

    def __getitem__(self, name: str) -> Backend:
        return self.all[NAMES.index(name)]

    def add_file(self, name: str, content: bytes) -> None:
        (self.files / name).write_bytes(content)

    def requests(self) -> dict[str, int]:
        return {backend.name: backend.requests() for backend in self.all}

    def stop(self) -> None:
        for backend in self.all:
            backend.stop()
