"""The lock on a file: one holder, who is named to the others, and who never blocks when dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pgstead.engine.lock import Holder, check_held, force_unlock, holder_of, is_free, kind_of, lock
from pgstead.engine.lock_postgresql import NAME_BYTES, _from_name, _to_name, lock_key
from pgstead.engine.state import State, open_state
from pgstead.errors import StateError

HOLD = """
import sys
from pgstead.engine.lock import lock
from pgstead.engine.state import open_state
with lock(open_state(sys.argv[1], "demo", create=True), "up"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(url: str, state: State) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLD, url]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_refused_one_is_told_who_holds_it(state: State, other: subprocess.Popen[str]) -> None:
    assert not is_free(state)
    holder = holder_of(state)
    assert holder is not None
    assert holder.pid == other.pid
    with pytest.raises(StateError) as caught, lock(state, "destroy"):
        pytest.fail("two hold it")
    message = caught.value.message
    assert f"`up` (pid {other.pid}, " in message
    assert datetime.now(UTC) - holder.since < timedelta(minutes=5)
    assert f"since {holder.since:%Y-%m-%d}" in message
    assert caught.value.hint is not None


def test_a_killed_holder_never_blocks(state: State, other: subprocess.Popen[str]) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait(10)
    assert is_free(state)
    with lock(state, "up") as held:
        assert held.still_held()


def test_it_is_taken_again_after_release(state: State) -> None:
    for _ in range(3):
        with lock(state, "up"):
            assert not is_free(state)
        assert is_free(state)


def test_looking_does_not_get_in_the_way(state: State, url: str) -> None:
    assert is_free(state)
    with lock(state, "up"):
        number = state.begin_apply("up")
        assert state.history()[0].outcome == "running"
        state.end_apply(number, "done")


def test_stacks_in_one_file_do_not_lock_each_other(state: State, url: str) -> None:
    other = open_state(url, "other", create=True)
    with lock(state, "up"), lock(other, "up"):
        pass
    other.close()


def test_force_unlock_is_seen_by_the_old_holder(state: State) -> None:
    assert holder_of(state) is None
    assert force_unlock(state) is None
    with lock(state, "up") as old:
        holder = force_unlock(state)
        assert holder is not None
        assert holder.pid == os.getpid()
        with lock(state, "destroy") as new:
            check_held(new)
            assert not old.still_held()
            with pytest.raises(StateError, match="was lost"):
                check_held(old)


def test_stale_words_of_a_dead_holder_are_ignored(state: State, tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/true"]) as gone:
        gone.wait(10)
    kind = kind_of(state.database, "demo")
    with lock(state, "up"):
        pass
    file = tmp_path / ".pgstead" / "demo.db.demo.lock"
    stale = Holder("up", gone.pid, "root", os.uname().nodename, datetime.now(UTC))
    file.write_text(json.dumps(stale.as_dict()), encoding="utf-8")
    assert kind.holder() is None
    file.write_text("{}", encoding="utf-8")
    assert kind.holder() is None


def test_a_holder_fits_into_an_application_name() -> None:
    holder = Holder(
        "up", 4_194_304, "somebody", "h" * 80, datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    )
    name = _to_name(holder)
    assert len(name.encode()) <= NAME_BYTES
    found = _from_name(name)
    assert found is not None
    assert (found.command, found.pid, found.user) == ("up", holder.pid, "somebody")
    assert found.since == holder.since
    assert _from_name("psql") is None
    assert _from_name(None) is None


def test_keys_of_advisory_locks() -> None:
    assert lock_key("a") != lock_key("b")
    assert 0 <= lock_key("a") < 2**63
