"""What a drill that was killed left broken is brought back by whoever works on the stack next."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgstead.drills.faults.notes import Notes
from pgstead.drills.faults.undoing import Mend, Start
from pgstead.engine.lock import lock
from pgstead.errors import PlatformError
from pgstead.operations.session import open_session

STACK = "name: broken\nplatform: {kind: memory}\ncluster: {postgres: {members: 2}}\n"
CUT, OFF = Mend("postgres-1"), Start((("postgres-2",),))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = tmp_path / "stack.yaml"
    path.write_text(STACK)
    with open_session(path, command="up") as session:
        Notes(session.broken).add([CUT])
    return path


def test_a_command_that_changes_the_stack_begins_with_it(file: Path) -> None:
    with open_session(file, command="up") as session:
        assert session.brought_back == ("postgres-1 was cut off",)
        assert not session.broken.exists()
    with open_session(file, command="up") as session:
        assert session.brought_back == ()


@pytest.mark.parametrize("command", [None, "state export"])
def test_others_leave_it(file: Path, command: str | None) -> None:
    with open_session(file, command=command) as session:
        assert session.brought_back == ()
        assert session.broken.exists()


def test_it_is_told_once_nobody_works_on_the_stack(file: Path) -> None:
    with open_session(file) as session:
        assert session.left_broken
        with lock(session.state, "drill"):  # whose damage it may be, and who brings it back
            assert not session.left_broken
        session.broken.unlink()
        assert not session.left_broken


def test_machines_that_are_to_be_removed_are_not_started(file: Path) -> None:
    with open_session(file) as session:
        Notes(session.broken).add([OFF])
    with open_session(file, command="destroy") as session:
        assert session.brought_back == ("postgres-1 was cut off",)
        assert not session.broken.exists()


def test_what_cannot_be_brought_back_is_told_and_kept(file: Path) -> None:
    with open_session(file) as session:
        Notes(session.broken).add([OFF])
    told = pytest.raises(PlatformError, match="postgres-2 had no power")
    with told, open_session(file, command="start"):
        pytest.fail("nothing is done before")
    with open_session(file) as session:
        assert Notes(session.broken).all() == [OFF]
