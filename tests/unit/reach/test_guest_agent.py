"""The guest agent's protocol, against a small agent that does what it is told on this machine."""

from __future__ import annotations

import base64
import getpass
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pgstead.errors import PlatformError
from pgstead.machine import File
from pgstead.reach import guest_agent
from pgstead.reach.guest_agent import AgentTransport, agent_reach

ME = getpass.getuser()


class Agent:
    """Speaks the protocol of qemu-ga, which refuses commands that it does not know."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.files: dict[int, Path] = {}
        self.ended: dict[int, subprocess.CompletedProcess[bytes]] = {}
        self.at_most = 1 << 30
        self.looks = 0

    def __call__(self, text: str) -> str:
        message = json.loads(text)
        self.asked.append(message)
        name = message["execute"].replace("-", "_")
        if not hasattr(self, name):
            error = {"class": "CommandNotFound", "desc": f"The command {name} has not been found"}
            return json.dumps({"error": error})
        return json.dumps({"return": getattr(self, name)(**message.get("arguments", {}))})

    def guest_ping(self) -> dict[str, Any]:
        return {}

    def guest_exec(self, **words: Any) -> dict[str, Any]:
        argv = [words["path"], *words["arg"]]
        pid = 4000 + len(self.ended)
        self.ended[pid] = subprocess.run(argv, capture_output=True, check=False)
        return {"pid": pid}

    def guest_exec_status(self, pid: int) -> dict[str, Any]:
        self.looks += 1
        if self.looks % 2:  # it takes a while
            return {"exited": False}
        done = self.ended.pop(pid)
        data = {"out-data": done.stdout, "err-data": done.stderr}
        texts = {key: base64.b64encode(value).decode() for key, value in data.items() if value}
        return {"exited": True, "exitcode": done.returncode, **texts}

    def guest_file_open(self, path: str, mode: str) -> int:
        assert mode == "w"
        self.files[1000] = Path(path)
        Path(path).write_bytes(b"")
        return 1000

    def guest_file_write(self, **words: Any) -> dict[str, Any]:
        chunk = base64.b64decode(words["buf-b64"])[: self.at_most]
        with self.files[words["handle"]].open("ab") as file:
            file.write(chunk)
        return {"count": len(chunk), "eof": False}

    def guest_file_flush(self, handle: int) -> dict[str, Any]:
        assert handle in self.files
        return {}

    def guest_file_close(self, handle: int) -> dict[str, Any]:
        del self.files[handle]
        return {}


@pytest.fixture
def agent() -> Agent:
    return Agent()


def test_a_command_s_end_is_waited_for(agent: Agent) -> None:
    done = agent_reach("vm1", agent).run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done.code, done.stdout, done.stderr) == (3, "out\n", "err\n")
    commands = [message["execute"] for message in agent.asked]
    assert commands == ["guest-exec", "guest-exec-status", "guest-exec-status"]


def test_words_arrive_as_they_are(agent: Agent) -> None:
    words = ["a b", "$HOME", "'", '"', "*", "", "ü", "-n"]
    done = agent_reach("vm1", agent).run(["printf", "%s|", *words])
    assert done.stdout == "".join(f"{word}|" for word in words)


def test_a_program_that_is_not_there_is_an_answer(agent: Agent) -> None:
    assert agent_reach("vm1", agent).run(["no-such-program"]).code == 127


def test_a_command_that_does_not_end_is_ended(agent: Agent) -> None:
    with pytest.raises(PlatformError, match=r"on machine vm1, sleep 30 did not end within 0\.2 s"):
        agent_reach("vm1", agent).run(["sleep", "30"], timeout=0.2)


def test_a_file_is_pushed_in_chunks_and_read_again(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest_agent, "CHUNK", 1000)
    agent.at_most = 700  # an agent may take less than it was offered
    path = tmp_path / "etc" / "conf.yml"
    content = "".join(f"line {number}: ü\n" for number in range(200))
    reach = agent_reach("vm1", agent)
    reach.push(File(str(path), content, mode=0o600, owner=ME))
    assert path.read_text() == content
    assert path.stat().st_mode & 0o7777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert reach.read(str(path)) == content
    assert not agent.files


def test_the_content_is_in_no_command_line(agent: Agent, tmp_path: Path) -> None:
    path = str(tmp_path / "secret")
    agent_reach("vm1", agent).push(File(path, "geheim", owner=ME, secret=True))
    ran = [message for message in agent.asked if message["execute"] == "guest-exec"]
    encoded = base64.b64encode(b"geheim").decode()
    assert ran
    assert not [one for one in ran if "geheim" in str(one) or encoded in str(one)]


def test_nobody_else_may_read_it_on_the_way(agent: Agent, tmp_path: Path) -> None:
    modes: list[int] = []
    write = agent.guest_file_write

    def look(**words: Any) -> dict[str, Any]:
        modes.append(agent.files[words["handle"]].stat().st_mode & 0o777)
        return write(**words)

    agent.guest_file_write = look  # type: ignore[method-assign]
    agent_reach("vm1", agent).push(File(str(tmp_path / "a"), "x", mode=0o644, owner=ME))
    assert modes == [0o600]


def test_a_push_that_fails_leaves_the_old_file_alone(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "conf.yml"
    path.write_text("old")
    reach = agent_reach("vm1", agent)
    with pytest.raises(PlatformError, match=r"conf\.yml could not be written on machine vm1"):
        reach.push(File(str(path), "new", owner="nobody-of-that-name"))
    agent.at_most = 0
    with pytest.raises(PlatformError, match="it wrote nothing"):
        reach.push(File(str(path), "new", owner=ME))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    assert not agent.files


def test_the_agent_answers_or_not(agent: Agent) -> None:
    def silent(command: str) -> str:
        raise PlatformError("machine vm1 cannot be reached by its guest agent: not connected")

    assert AgentTransport("vm1", agent).ping()
    assert not AgentTransport("vm1", silent).ping()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('{"error": {"class": "GenericError", "desc": "Failed to execute"}}', "Failed to execute"),
        ("no json", "None is no answer"),
        ("[]", "None is no answer"),
        ('{"return": {}}', "has no pid"),
        ('{"return": {"pid": "4"}}', "has no pid"),
    ],
)
def test_odd_answers_are_errors(answer: str, said: str) -> None:
    with pytest.raises(PlatformError, match=said):
        agent_reach("vm1", lambda _: answer).run(["true"])


def test_output_that_was_cut_off_is_an_error() -> None:
    answers = iter(
        ['{"return": {"pid": 1}}', '{"return": {"exited": true, "out-truncated": true}}']
    )
    with pytest.raises(PlatformError, match="wrote more than the agent keeps"):
        agent_reach("vm1", lambda _: next(answers)).run(["true"])


def test_a_signal_is_a_negative_code() -> None:
    answers = iter(['{"return": {"pid": 1}}', '{"return": {"exited": true, "signal": 9}}'])
    assert agent_reach("vm1", lambda _: next(answers)).run(["true"]).code == -9


class LibvirtError(Exception):
    def get_error_message(self) -> str:
        return str(self.args[0])


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Guest agent is not responding: QEMU guest agent is not connected", "cannot be reached"),
        ("argument unsupported: QEMU guest agent is not configured", "cannot be reached"),
        ("internal error: unable to execute QEMU agent command 'guest-exec'", "failed: internal"),
    ],
)
def test_libvirt_s_errors_are_told(monkeypatch: pytest.MonkeyPatch, said: str, told: str) -> None:
    libvirt = pytest.importorskip("libvirt")
    libvirt_qemu = pytest.importorskip("libvirt_qemu")

    def refuse(*words: object) -> str:
        raise LibvirtError(said)

    monkeypatch.setattr(libvirt, "libvirtError", LibvirtError)
    monkeypatch.setattr(libvirt_qemu, "qemuAgentCommand", refuse)
    call = guest_agent.libvirt_call(object(), "vm1")
    with pytest.raises(PlatformError, match=told):
        call('{"execute": "guest-ping"}')
