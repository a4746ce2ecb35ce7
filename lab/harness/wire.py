"""A lab of three hosts in a row: client and host speak IP, and what is between them is a wire.

    P-client                P-wire                  P-fairlead
    client ──── veth ──── from   to ──── veth ──── fairlead

The names are those of lab.sh, so that clients and servers of the harness run here, too. The client
sends packets as they go on a wire, of 1500 bytes with complete checksums; the host has its offloads.
"""

from harness.lab import CLIENT_ADDRESS, FAIRLEAD_ADDRESS, Lab
from harness.process import run

HOSTS = ("client", "wire", "fairlead")
LENGTH = {"ipv4": 24, "ipv6": 64}


class WireLab(Lab):
    def __init__(self, prefix: str):  # pylint: disable=super-init-not-called
        self.prefix = prefix
        self.down()
        for host in HOSTS:
            run(["ip", "netns", "add", self.name(host)])
        self._join("client", "from")
        self._join("fairlead", "to")
        for host, addresses in (("client", CLIENT_ADDRESS), ("fairlead", FAIRLEAD_ADDRESS)):
            for family, address in addresses.items():
                self.run(host, ["ip", "address", "add", f"{address}/{LENGTH[family]}", "dev", host,
                                *(["nodad"] if family == "ipv6" else [])])
        self.run("client", ["ethtool", "-K", "client", "tso", "off", "gso", "off", "tx", "off"])

    def name(self, host: str) -> str:
        return f"{self.prefix}-{host}"

    def _join(self, host: str, end: str) -> None:
        """A pair of interfaces: `host` in the namespace of that name, `end` in the wire's."""
        run(["ip", "link", "add", host, "netns", self.name(host), "type", "veth", "peer", "name",
             end, "netns", self.name("wire")])
        self.run("wire", ["sysctl", "-qw", f"net.ipv6.conf.{end}.disable_ipv6=1"])
        self.run("wire", ["ip", "link", "set", end, "up"])
        self.run(host, ["ip", "link", "set", host, "up"])

    def down(self) -> None:
        for host in HOSTS:
            run(["ip", "netns", "delete", self.name(host)], check=False)
