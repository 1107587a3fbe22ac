"""The commands for guests, run by this machine's own shell on a folder."""

from __future__ import annotations

import getpass
import itertools
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pgstead import waiting
from pgstead.errors import PlatformError
from pgstead.reach import guest
from pgstead.reach.base import Finished
from pgstead.reach.guest import PART, SETTLE, GuestReach, bounded, is_late, script

ME = getpass.getuser()


@dataclass
class Shell:
    """A transport to this machine; answers of programs that are not to be run stand ready."""

    machine: str = "vm1"
    answers: dict[str, list[Finished]] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)

    def execute(self, argv: Sequence[str], *, timeout: float) -> Finished:
        self.asked.append([*argv])
        if argv[0] in self.answers:
            return self.answers[argv[0]].pop(0)
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=timeout)
        return Finished(done.returncode, done.stdout, done.stderr)

    def write(self, path: str, content: str, *, owner: str, mode: int) -> None:
        raise AssertionError(path)

    def close(self) -> None:
        pass


def lay(path: Path, content: str, *, size: int | None = None, owner: str = f"{ME}:") -> int:
    """Writes a file by the guest's commands; gives the exit code."""
    text = f'{PART}owner=$2 mode=$3 size=$4\ncat > "$part"\n{SETTLE}'
    expected = len(content.encode()) if size is None else size
    words = script(text, str(path), owner, "640", str(expected))
    done = subprocess.run(words, input=content.encode(), capture_output=True, check=False)
    return done.returncode


@pytest.mark.parametrize("name", ["plain.yml", "with space", "it's", "-n", "$HOME", "ü"])
def test_a_file_is_laid_down_with_its_mode(tmp_path: Path, name: str) -> None:
    path = tmp_path / "made" / "anew" / name
    assert lay(path, "a: 1\r\nü\n") == 0
    assert path.read_bytes() == "a: 1\r\nü\n".encode()
    assert path.stat().st_mode & 0o7777 == 0o640
    assert path.parent.stat().st_mode & 0o7777 == 0o755
    assert list(path.parent.iterdir()) == [path]


def test_what_did_not_arrive_whole_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "conf.yml"
    path.write_text("old")
    assert lay(path, "new but cut o", size=100) != 0
    assert lay(path, "new", owner="nobody-of-that-name:") != 0
    assert path.read_text() == "old"


def test_a_link_is_replaced_and_a_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to("target")
    assert lay(tmp_path / "link", "new") == 0
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "kept"
    (tmp_path / "folder").mkdir()
    assert lay(tmp_path / "folder", "new") != 0


def test_many_files_are_looked_at_at_once(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "t w'o"
    one.write_bytes(b"a\r\nb\xff")
    two.write_text("")
    two.chmod(0o600)
    shell = Shell()
    seen = GuestReach(shell).look([str(one), str(tmp_path), str(two), "/nope"])
    assert len(shell.asked) == 1
    first = seen[str(one)]
    assert first is not None
    assert first.content == "a\r\nb\ufffd"
    assert seen[str(two)] == guest.Seen("", ME, 0o600)
    assert seen[str(tmp_path)] is None
    assert seen["/nope"] is None
    assert GuestReach(shell).look([]) == {}


def test_a_file_is_read_or_absent(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("text\n")
    reach = GuestReach(Shell())
    assert reach.read(str(tmp_path / "a")) == "text\n"
    assert reach.read(str(tmp_path / "b")) is None


def test_tokens_are_replaced_in_commands() -> None:
    reach = GuestReach(Shell(), text=lambda word: word.replace("@{bin:echo}", "/bin/echo"))
    assert reach.run(["@{bin:echo}", "a  b", "$HOME"]).stdout == "a  b $HOME\n"


def test_a_command_is_ended_where_it_runs() -> None:
    done = subprocess.run(bounded(["sleep", "30"], 0.2), check=False)
    assert done.returncode == guest.TIMED_OUT
    words = script(f'"$@"; {guest.SAY_LATE}; exit $code', *bounded(["sleep", "30"], 0.2))
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    assert is_late(said.returncode, said.stderr)
    words = script(f'"$@"; {guest.SAY_LATE}; exit $code', "sh", "-c", "exit 7")
    assert subprocess.run(words, capture_output=True, check=False).returncode == 7


def journal(*lines: str, cursor: str | None = None) -> Finished:
    end = [f"-- cursor: {cursor}"] if cursor else []
    return Finished(0, "".join(f"{line}\n" for line in [*lines, *end]), "")


def test_a_log_is_followed_from_where_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest, "pause", lambda seconds: None)
    answers = [
        journal("one", "two", cursor="c1"),
        journal(),
        journal("three", cursor="c2"),
        journal("four", cursor="c3"),
    ]
    shell = Shell(answers={"journalctl": answers})
    logs = GuestReach(shell).logs("patroni", follow=True, lines=2)
    assert list(itertools.islice(logs, 4)) == ["one", "two", "three", "four"]
    assert "--lines=2" in shell.asked[0]
    assert "--unit=patroni.service" in shell.asked[0]
    assert [words[-1] for words in shell.asked[1:]] == [
        "--after-cursor=c1",
        "--after-cursor=c1",
        "--after-cursor=c2",
    ]


def test_following_a_log_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(guest, "pause", stop)
    shell = Shell(answers={"journalctl": [journal("one", cursor="c1")]})
    with pytest.raises(KeyboardInterrupt):
        list(GuestReach(shell).logs("patroni", follow=True))
    assert guest.FOLLOW_SECONDS <= 1
    assert not waiting.interruption.is_set()


def test_a_service_that_is_not_there_is_told_with_those_that_are() -> None:
    units = "etcd.service loaded active running etcd\nssh.service loaded active running sshd\n"
    shell = Shell(
        answers={
            "journalctl": [journal()],
            "systemctl": [Finished(1, "", "No files found"), Finished(0, units, "")],
        }
    )
    with pytest.raises(PlatformError, match="vm1 has no service 'patroni'") as raised:
        list(GuestReach(shell).logs("patroni"))
    assert raised.value.hint == "these run: etcd, ssh"


def test_a_service_without_a_line_yet_has_an_empty_log() -> None:
    shell = Shell(answers={"journalctl": [journal()], "systemctl": [Finished(0, "[Unit]", "")]})
    assert list(GuestReach(shell).logs("patroni")) == []


@pytest.mark.parametrize("name", ["--all", "a b", "../etcd", ""])
def test_what_is_no_name_of_a_service_is_refused(name: str) -> None:
    shell = Shell(answers={"journalctl": [journal()]})
    if name == "--all":
        # It stands behind --unit= and is no option; there is just no such service.
        shell.answers["systemctl"] = [Finished(1, "", ""), Finished(0, "", "")]
    with pytest.raises(PlatformError, match=r"no name of a service|has no service"):
        list(GuestReach(shell).logs(name))


def test_an_odd_answer_is_an_error() -> None:
    shell = Shell(answers={"/bin/sh": [Finished(0, "-\n", ""), Finished(1, "", "sh: broken")]})
    with pytest.raises(PlatformError, match="1 files instead of 2"):
        GuestReach(shell).look(["/a", "/b"])
    with pytest.raises(PlatformError, match="vm1 cannot be read: sh: broken"):
        GuestReach(shell).read("/a")
