"""Fairlead and the kernel share an interface and its addresses; neither disturbs the other."""

import hashlib
import re
import threading
import time

import pytest
from harness.capture import RST, Capture
from harness.client import assert_flawless, assert_intact
from harness.lab import FAIRLEAD_ADDRESS, Lab
from harness.servers import ECHO

MIB = 1 << 20


def ping(lab: Lab, family: str, count: int) -> int:
    """How many of `count` were answered."""
    done = lab.run("client", ["ping", "-q", "-i", "0.01", "-c", count, "-W", "2",
                              FAIRLEAD_ADDRESS[family]], check=False)
    return int(re.search(r"(\d+) received", done.stdout)[1])


def curl_hash(lab: Lab, url: str) -> str:
    done = lab.run("client", ["sh", "-c", f"curl -sf --max-time 20 '{url}' | sha256sum"])
    return done.stdout.split()[0]


class InBackground(threading.Thread):
    """Calls work() again and again until stop(), which raises what it raised."""

    def __init__(self, work):
        super().__init__()
        self.work, self.calls, self.error, self.ending = work, 0, None, threading.Event()
        self.start()

    def run(self):
        try:
            while not self.ending.is_set():
                self.work()
                self.calls += 1
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.error = error

    def stop(self) -> int:
        self.ending.set()
        self.join()
        if self.error:
            raise self.error
        return self.calls


@pytest.mark.usefixtures("each_lab")
def test_ping_and_a_kernel_web_server_work_while_streams_run(server, client, any_lab, nginx, family):
    expected = hashlib.sha256(nginx.file.read_bytes()).hexdigest()

    def fetch():
        assert curl_hash(any_lab, nginx.url(family)) == expected

    def echo():
        assert_intact(client.run("echo", family, ECHO, "--bytes", 64 * MIB), 1, 64 * MIB)

    threads = [InBackground(fetch), InBackground(echo)]
    answered = ping(any_lab, family, 200)
    calls = [thread.stop() for thread in threads]
    assert answered == 200
    assert all(count > 0 for count in calls), calls


@pytest.mark.usefixtures("each_lab")
def test_no_reset_is_sent_for_our_connections(server, client, any_lab, family, tmp_path):
    before = any_lab.tcp_counter("fairlead", "OutRsts")
    capture = Capture(any_lab, "client", "client", RST, tmp_path / "rst.pcap")
    assert_intact(client.run("echo", family, ECHO, "--bytes", 64 * MIB), 1, 64 * MIB)
    assert_flawless(client.run("requests", family, ECHO, "--connections", 5000, "--concurrency",
                               50), 5000)
    assert capture.stop() == 0
    assert any_lab.tcp_counter("fairlead", "OutRsts") == before


def test_what_the_interface_never_takes_holds_nothing_else_up(fairlead, client, lab):
    """Its queue takes no packet of more than 400 bytes, ever."""
    lab.run("fairlead", ["tc", "qdisc", "add", "dev", "fairlead", "root", "bfifo", "limit", "400"])
    try:
        starved = InBackground(lambda: client.run(
            "requests", "ipv4", ECHO, "--connections", 1, "--size", 1000, timeout=3))
        time.sleep(1)  # its echo has been dropped, and sent again
        assert_flawless(client.run("requests", "ipv4", ECHO, "--connections", 200, "--concurrency", 10,
                                   "--size", 64, timeout=20), 200)
        starved.stop()
        port, = fairlead.show_json("stats")["ports"]
        assert port["tx_dropped"] > 0
    finally:
        lab.run("fairlead", ["tc", "qdisc", "del", "dev", "fairlead", "root"])
