"""Where a host core's cycles go, by the components of AccelTCP's Table 1, for
bench/short_connections.py: from samples of its thread.

A sample's frames, inlined functions included, are looked at from the innermost outwards; the first
that a rule names decides. What is used everywhere (hash tables, pools, memcpy) has no rule: it is
its caller's.

The packets that open and close connections are parsed, looked up, built and moved by the same code
as all others: that part of them is TCP and packet I/O here, not setup and teardown.
"""

import collections
import json
import re
import subprocess
from pathlib import Path

SAMPLES_PER_SECOND = 5000
IDLE = "idle"
OTHER = "other"
SETUP = "connection setup and teardown"

RULES = [(component, re.compile(pattern)) for component, pattern in (
    ("packet I/O", r"bench::RingPort::|bench::FramePipe::|Shard::offer_"),
    ("buffers", r"host::(ByteChain|ChunkPool|BorrowedSpans|SendQueue)::|host::Stack::(settle|end_burst)\("
                r"|host::Receiver::(settle|move_to|consume)|port::take_buffer"),
    (SETUP, r"host::Stack::(create|destroy|detach|on_listener_segment|find_listener|make_time_wait|"
            r"enter_time_wait|on_time_wait_segment|reply_time_wait|initial_sequence|"
            r"timestamp_offset|on_accepted|on_state_change|release)\("
            r"|host::Connection::(Connection|~Connection|open_passive|negotiate|complete_handshake|"
            r"emit_syn|released|end|on_fin|on_fin_acked|shutdown_write|set_state|arm_life_timer)\("
            r"|host::(TimeWaitTable|Listener)::|host::PathCache::(acquire|release)"
            r"|host::(Sender|Receiver)::(start|establish|clear)\("
            r"|detail::SocketState::~?SocketState"),
    ("TCP", r"fairlead::host::|fairlead::wire::|fairlead::port::build_|fairlead::nic::"),
    ("application", r"bench::EchoService::"),
    ("scheduling", r"fairlead::(Scheduler|Waiter|TcpListener|TcpSocket|Shard|FramePool|detail::(Socket|Task))"
                   r"|bench::HostCore::run|fairlead::monotonic_now"),
)]
COMPONENTS = ["TCP", SETUP, "packet I/O", "buffers", "scheduling", "application", OTHER]

def component_of(functions: list[str]) -> str:
    """functions: innermost first."""
    if any("wait_for_frames" in function for function in functions):
        return IDLE
    for function in functions:
        for component, pattern in RULES:
            if pattern.search(function):
                return component
    return OTHER


def functions_at(program: str, offsets: list[int]) -> dict[int, list[str]]:
    """By offset in the file, innermost first."""
    listing = subprocess.run(["readelf", "-lW", program], capture_output=True, text=True,
                             check=True).stdout
    segments = [tuple(int(field, 16) for field in fields) for fields in re.findall(
        r"LOAD\s+(0x\w+) (0x\w+) 0x\w+ (0x\w+)", listing)]

    def virtual(offset: int) -> int:
        return next((address + offset - at for at, address, size in segments
                     if at <= offset < at + size), 0)

    done = subprocess.run(
        ["llvm-symbolizer-19", f"--obj={program}", "--inlines", "--output-style=JSON"],
        input="\n".join(hex(virtual(offset)) for offset in offsets), capture_output=True, text=True,
        check=True)
    return {offset: [symbol["FunctionName"] for symbol in json.loads(line).get("Symbol", [])]
            for offset, line in zip(offsets, done.stdout.splitlines())}


def read_chains(recording: Path, program: str, thread: str) -> list[list[int]]:
    """Of the thread's samples: offsets in the program's file, innermost first."""
    text = subprocess.run(["perf", "script", "-i", str(recording), "-F", "comm,ip,dso"],
                          capture_output=True, text=True, check=True).stdout
    chains = []
    for sample in text.split("\n\n"):
        head, *lines = sample.strip("\n").split("\n")
        if head.strip() == thread:
            frames = [line.split(None, 1) for line in lines]
            # But for the innermost these are return addresses: the call is before them.
            chains.append([int(ip, 16) - (i > 0) for i, (ip, dso) in enumerate(frames)
                           if dso == f"({program})"])
    return chains


def profile(command: list[str], scratch: Path) -> dict:
    """Runs a measurement under perf; its cycles per transaction, and shares by component."""
    recording = scratch / "perf.data"
    done = subprocess.run(
        ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(SAMPLES_PER_SECOND), "--call-graph",
         "fp", "-o", str(recording), "--", *command], capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    program = str(Path(command[0]).resolve())
    chains = read_chains(recording, program, "host")
    names_at = functions_at(program, sorted({offset for chain in chains for offset in chain}))
    components, functions = collections.Counter(), collections.Counter()
    for chain in chains:
        names = [name for offset in chain for name in names_at[offset]]
        component = component_of(names)
        components[component] += 1
        if component != IDLE:
            functions[component, names[0] if names else "outside the program"] += 1
    busy = components.total() - components[IDLE]
    return {"cycles": measured["cycles"], "samples": busy,
            "shares": {component: components[component] / busy for component in COMPONENTS},
            "functions": [[component, name, count / busy]
                          for (component, name), count in functions.most_common(60)]}
