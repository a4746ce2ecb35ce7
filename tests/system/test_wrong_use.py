"""Wrong use gets one clear line and a status, and leaves nothing attached."""

import shutil
import tempfile
from pathlib import Path

import pytest
from harness.process import run
from harness.servers import FairleadServer

USAGE, RUNTIME = 2, 1


@pytest.fixture
def open_to_all():
    """A directory that any user can use; pytest's are root's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
def refused(lab, binaries, tmp_path, traces):
    """Calls `fairlead run` with a configuration; it must refuse, in one line that is returned."""

    def call(text: str, status: int, before=(), folder=tmp_path) -> str:
        file = folder / "wrong.conf"
        file.write_text(text)
        binary = binaries / "src/app/fairlead"
        if folder != tmp_path:  # the build may be out of another user's reach, too
            binary = shutil.copy(binary, folder)
        done = lab.run("fairlead", [*before, binary, "run", "-c", file], check=False, timeout=20)
        assert done.returncode == status, done.stdout + done.stderr
        assert done.stdout == ""
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr
        traces.assert_none()
        return lines[0]

    return call


def config(tmp_path, interface="fairlead", body="echo_server 198.18.0.1 7") -> str:
    return f"interface {interface}\n{body}\ncontrol_socket {tmp_path}/other.sock\n"


@pytest.mark.parametrize("text, expected", [
    ("interface fairlead\necho_sever 198.18.0.1 7\n", ":2:1: "),
    ("interface fairlead\necho_server 198.18.0.1 7 { discrad }\n", ":2:28: "),
    ("interface fairlead\necho_server 198.18.0.1 70000\n", ":2:24: "),
    ("interface fairlead\necho_server 198.18.0.300 7\n", ":2:13: "),
    ("interface fairlead {\n", ":"),
])
def test_a_mistake_in_the_configuration_is_named_with_its_place(refused, text, expected):
    line = refused(text, USAGE)
    assert f"wrong.conf{expected}" in line


def test_a_missing_configuration_file_is_named(lab, binaries):
    done = lab.run("fairlead", [binaries / "src/app/fairlead", "run", "-c", "/nonexistent.conf"],
                   check=False)
    assert done.returncode == USAGE
    assert "/nonexistent.conf" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words", [["walk"], ["run"], ["run", "--config"], ["show", "everything"]])
def test_a_mistake_on_the_command_line_is_a_usage_error(binaries, words):
    assert run([binaries / "src/app/fairlead", *words], check=False).returncode == USAGE


def test_a_missing_interface_is_named(refused, tmp_path):
    line = refused(config(tmp_path, interface="nosuch0"), RUNTIME)
    assert "nosuch0" in line


def test_an_address_of_another_machine_is_named(refused, tmp_path):
    line = refused(config(tmp_path, body="echo_server 192.0.2.99 7"), RUNTIME)
    assert "192.0.2.99" in line


def test_missing_privilege_is_named(refused, open_to_all):
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    line = refused(config(open_to_all), RUNTIME, before=nobody, folder=open_to_all)
    assert any(word in line for word in ("CAP_", "privilege", "root")), line


def test_a_kernel_without_bpf_is_named(refused, tmp_path):
    without_bpf = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=bpf:error=ENOSYS"]
    line = refused(config(tmp_path), RUNTIME, before=without_bpf)
    assert "BPF" in line or "bpf" in line, line


def test_an_interface_in_use_by_another_fairlead_is_named(lab, binaries, tmp_path, client):
    first = FairleadServer(lab, binaries, tmp_path)
    try:
        second = tmp_path / "second.conf"
        second.write_text(config(tmp_path))
        done = lab.run("fairlead", [first.binary, "run", "-c", second], check=False, timeout=20)
        assert done.returncode == RUNTIME
        assert len(done.stderr.splitlines()) == 1 and "fairlead" in done.stderr, done.stderr
        assert client.run("echo", "ipv4", 7)["failures"] == {}, "the first one must not notice"
    finally:
        first.stop()


def test_a_control_socket_in_use_is_named(lab, binaries, tmp_path, client):
    first = FairleadServer(lab, binaries, tmp_path)
    try:
        second = tmp_path / "second.conf"
        second.write_text(f"interface server1\necho_server 198.18.1.1 7\n"
                          f"control_socket {first.control_socket}\n")
        done = lab.run("fairlead", [first.binary, "run", "-c", second], check=False, timeout=20)
        assert done.returncode == RUNTIME
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert str(first.control_socket) in done.stderr
        assert first.show_json("stats")
        assert client.run("echo", "ipv4", 7)["failures"] == {}
    finally:
        first.stop()


def test_nobody_to_ask_is_a_runtime_error(binaries, tmp_path):
    done = run([binaries / "src/app/fairlead", "show", "stats", "-s", tmp_path / "none.sock"],
               check=False)
    assert done.returncode == RUNTIME
    assert len(done.stderr.splitlines()) == 1 and "none.sock" in done.stderr
