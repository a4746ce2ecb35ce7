"""Loss on a link, without netem: a classic BPF program draws lots for each packet (cls_bpf(8))."""

import contextlib

from harness.lab import Lab

DROP, PASS = 2, -1  # TC_ACT_SHOT, TC_ACT_UNSPEC
# TC_ACT_STOLEN: taken as if sent. Of a packet dropped here the host's own TCP would know.
TAKE = 4


def lots(share: float, action: int) -> str:
    """Does `action` with this share of all packets: load rand, jge, ret, ret."""
    words = ["32 0 0 4294963256", f"53 1 0 {int(share * (1 << 32))}", f"6 0 0 {action}",
             f"6 0 0 {PASS % (1 << 32)}"]
    return f"{len(words)},{','.join(words)},"


@contextlib.contextmanager
def loss(lab: Lab, host: str, share: float):
    """Inside the block the link of this host, "client" or "serverN", loses both ways. Each packet
    by itself in a lab without offloads; with them a super-packet arrives or not as a whole."""
    interface = host.rstrip("0123456789")
    do = lambda *words: lab.run(host, words)
    # Without offloads, too, TCP makes super-packets, which are cut up behind the egress filter.
    do("ip", "link", "set", interface, "gso_max_segs", "1")
    do("tc", "qdisc", "add", "dev", interface, "clsact")
    try:
        for direction, action in (("ingress", DROP), ("egress", TAKE)):
            do("tc", "filter", "add", "dev", interface, direction, "protocol", "all", "bpf", "da",
               "bytecode", lots(share, action))
        yield
    finally:
        do("tc", "qdisc", "del", "dev", interface, "clsact")
        do("ip", "link", "set", interface, "gso_max_segs", "65535")
