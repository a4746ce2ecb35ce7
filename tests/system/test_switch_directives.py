"""Every directive of the switch takes effect; every wrong use of one is refused with a line that
says what, where and what would be right, and stops nothing. directive_table.py has them all."""

import contextlib
import re

import pytest
from directive_proofs import SCRIPTED_PORTS, World
from directive_table import FRAMES, TABLE, Row
from harness.backends import Backends
from harness.proxies import INTERFACES, Switch
from harness.scripted import ScriptedServer, ask, connect, read_response, request

USAGE, RUNTIME = 2, 1

# A word that none resembles, where the daemon then says what it knows.
UNKNOWN = "qqqqqqqqqqqq"
QUESTION = f"""{UNKNOWN}
virtual_server 192.0.2.1 80 {{
  {UNKNOWN}
  match {UNKNOWN}
  schedule_hash {UNKNOWN}
  real_server 192.0.2.2 80 {{ {UNKNOWN}; health_check tcp {{ {UNKNOWN} }} }}
}}
pool one {{ {UNKNOWN}; real_server 192.0.2.2 80 }}
"""


def check(binaries, lab, file, command: str = "check"):
    return lab.run("fairlead", [binaries / "src/app/fairlead", command, "-c", file], check=False,
                   timeout=20)


def frame_of(block: str, row: Row):
    return FRAMES[row.frame or block]


def test_the_table_has_every_directive_and_no_other(web_lab, binaries, tmp_path):
    file = tmp_path / "question.conf"
    file.write_text(QUESTION)
    known = set()
    for line in check(binaries, web_lab, file).stderr.splitlines():
        where, words = re.fullmatch(r'.*?(?: in (\w+)| of "(\w+) .*"|"); expected one of: (.*)',
                                    line).group(1, 2), line.rpartition(": ")[2]
        known |= {(where[0] or where[1] or "", word) for word in words.split(", ")}
    assert known == set(TABLE)


# ---- right use -----------------------------------------------------------------------------------

def end(switch: Switch) -> None:
    assert switch.process.running, switch.process.output
    assert switch.stop() == 0


@pytest.fixture
def world(web_lab, backends: Backends, binaries, tmp_path):
    """Starts Fairlead as a row says, and the servers of its script."""
    with contextlib.ExitStack() as stack:

        def start(block: str, row: Row) -> World:
            servers = [stack.enter_context(ScriptedServer(web_lab, port, row.script))
                       for port in SCRIPTED_PORTS if row.script]
            config = frame_of(block, row)(row.right, row.servers).replace("LOG", f"{tmp_path}/log")
            switch = row.switch(web_lab, binaries, tmp_path, config)
            stack.callback(end, switch)
            return World(web_lab, backends, switch, servers)

        yield start


@pytest.mark.parametrize("block, keyword", TABLE, ids=[" ".join(key).strip() for key in TABLE])
def test_a_right_use_takes_effect(world, block, keyword):
    row = TABLE[block, keyword]
    row.proof(world(block, row))


# ---- wrong use -----------------------------------------------------------------------------------

WRONG = {f"{block} {line}".strip()[:60].replace("\n", "; "): (
            frame_of(block, row)(line, row.servers), error)
         for (block, _), row in TABLE.items() for line, error in row.wrong.items()}


class TestWrongUse:
    @pytest.fixture(scope="class")
    # pylint: disable-next=unused-argument
    def serving(self, web_lab, backends, binaries, tmp_path_factory):
        """One that runs, and a client of it, which stay for all the tests here."""
        switch = Switch(web_lab, binaries, tmp_path_factory.mktemp("serving"))
        yield switch, connect(web_lab, switch.port)
        end(switch)

    @pytest.mark.parametrize("config, error", WRONG.values(), ids=WRONG)
    def test_is_refused_and_stops_nothing(self, web_lab, binaries, serving, config, error):
        switch, client = serving
        owner = "" if "control_socket" in config else f"control_socket {switch.control_socket}\n"
        switch.config.write_text(config + INTERFACES + owner)
        line = f"{switch.config}:{error}\n"
        for command in ("check", "run"):
            done = check(binaries, web_lab, switch.config, command)
            assert (done.returncode, done.stdout, done.stderr) == (USAGE, "", line)
        done = switch.ask("reload", check=False)
        assert (done.returncode, done.stdout) == (RUNTIME, "")
        assert done.stderr == f"fairlead: not reloaded, nothing has changed:\n{line}"
        client.send(request("/name"))
        assert read_response(client)[0] == 200
        assert ask(web_lab, switch.port, request("/name"))[0] == 200
