"""Commands and the sentinel keep out of each other's way."""

import os
from pathlib import Path

import pytest

from pgstead.errors import NotReady
from pgstead.sentinel import holding
from pgstead.sentinel.holding import FileHold, held


def test_a_sentinel_sees_who_works(tmp_path: Path) -> None:
    hold = FileHold(tmp_path / "folder" / "hold")
    assert hold.holder() == ""
    with held(hold.path, "up"), held(hold.path, "plan"):
        assert hold.holder() == f"`pgstead plan` (process {os.getpid()})"
        with hold.taken() as free:
            assert not free
    assert hold.holder() == ""
    with hold.taken() as free:
        assert free


def test_a_command_waits_for_a_step_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "STEP_SECONDS", 0.05)
    hold = FileHold(tmp_path / "hold")
    with hold.taken() as free:
        assert free
        with pytest.raises(NotReady, match="the sentinel's step to end"), held(hold.path, "up"):
            pass


def test_where_no_sentinel_was_there_is_nothing_to_hold(tmp_path: Path) -> None:
    with held(tmp_path / "none" / "hold", "up"):
        assert not (tmp_path / "none").exists()
