"""Export and import: the same state again, and nothing overwritten unasked."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgstead.engine.export import export_state, import_state, read_passphrase
from pgstead.engine.keys import KeyPlace, key_place
from pgstead.engine.resource import Recorded
from pgstead.engine.state import State, default_url, open_state
from pgstead.engine.vault import Vault
from pgstead.errors import StateError

PASSPHRASE = "correct horse battery"
PLAIN = {"password/a": b"a very secret password", "address/b": b"127.9.9.9"}
RECORDED = Recorded("machine.a", "machine", {"file": "abc"}, after=("b",), place={"folder": "/x"})


def place_in(folder: Path, stack_id: str) -> KeyPlace:
    return key_place(stack_id, {"XDG_CONFIG_HOME": str(folder / "config")})


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = open_state(default_url(tmp_path / "stack.yaml", "demo"), "demo", create=True)
    Vault(opened, place_in(tmp_path, opened.stack_id)).save(PLAIN)
    opened.record(RECORDED)
    number = opened.begin_apply("up")
    opened.step_ended(opened.step_started(number, "machine.a", "create"), "no")
    opened.end_apply(number, "failed", "no")
    yield opened
    opened.close()


@pytest.fixture
def exported(state: State, tmp_path: Path) -> Path:
    target = tmp_path / "export.json"
    keys = place_in(tmp_path, state.stack_id)
    export_state(state, target, passphrase=PASSPHRASE, keys=keys)
    return target


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[State]:
    """An empty state on another machine, so to say."""
    opened = open_state(default_url(tmp_path / "new" / "stack.yaml", "demo"), "demo", create=True)
    yield opened
    opened.close()


def test_the_same_state_elsewhere(
    state: State, exported: Path, elsewhere: State, tmp_path: Path
) -> None:
    keys = place_in(tmp_path / "new", state.stack_id)
    brought = import_state(elsewhere, exported, passphrase=PASSPHRASE, keys=keys)
    assert (brought.stack_id, brought.resources, brought.materials) == (state.stack_id, 1, 2)
    assert brought.key == str(keys.file)
    url = default_url(tmp_path / "new" / "stack.yaml", "demo")
    again = open_state(url, "demo", create=False)
    assert again.stack_id == state.stack_id
    assert again.recorded() == state.recorded()
    assert Vault(again, keys).load() == PLAIN
    (entry,) = again.history()
    assert (entry.command, entry.outcome, entry.summary) == ("up", "failed", "no")
    assert [step.error for step in again.steps(entry.id)] == ["no"]
    again.close()


def test_the_file_is_private_and_tells_nothing(exported: Path) -> None:
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    content = exported.read_bytes()
    for secret in (*PLAIN.values(), b"machine.a", PASSPHRASE.encode()):
        assert secret not in content


def test_an_export_overwrites_nothing(state: State, exported: Path, tmp_path: Path) -> None:
    before = exported.read_bytes()
    with pytest.raises(StateError, match="is there already"):
        export_state(
            state, exported, passphrase=PASSPHRASE, keys=place_in(tmp_path, state.stack_id)
        )
    assert exported.read_bytes() == before
    assert not list(tmp_path.glob(".export-*"))


def test_with_the_stacks_own_key(state: State, elsewhere: State, tmp_path: Path) -> None:
    keys = place_in(tmp_path, state.stack_id)
    export_state(state, tmp_path / "own.json", keys=keys)
    without = place_in(tmp_path / "new", state.stack_id)
    with pytest.raises(StateError, match="is missing"):
        import_state(elsewhere, tmp_path / "own.json", keys=without)
    import_state(elsewhere, tmp_path / "own.json", keys=keys)
    assert elsewhere.recorded() == state.recorded()


def test_a_state_that_holds_something_is_not_replaced_unasked(
    state: State, exported: Path, tmp_path: Path
) -> None:
    keys = place_in(tmp_path, state.stack_id)
    state.forget("machine.a")
    with pytest.raises(StateError, match="has a state already"):
        import_state(state, exported, passphrase=PASSPHRASE, keys=keys)
    assert state.recorded() == {}
    import_state(state, exported, passphrase=PASSPHRASE, keys=keys, force=True)
    assert state.recorded() == {"machine.a": RECORDED}
    assert Vault(state, keys).load() == PLAIN
    assert len(state.history()) == 1


def changed(exported: Path, **values: object) -> Path:
    content = json.loads(exported.read_text(encoding="utf-8")) | values
    exported.write_text(json.dumps(content), encoding="utf-8")
    return exported


def refused(
    elsewhere: State, source: Path, words: str, passphrase: str | None = PASSPHRASE
) -> None:
    with pytest.raises(StateError, match=words):
        import_state(elsewhere, source, passphrase=passphrase)
    assert elsewhere.recorded() == {}
    assert elsewhere.materials() == {}


def test_a_wrong_passphrase(elsewhere: State, exported: Path) -> None:
    refused(elsewhere, exported, "another passphrase", "wrong horse battery")
    refused(elsewhere, exported, "was exported with a passphrase", None)


def test_a_damaged_file(elsewhere: State, exported: Path) -> None:
    body = json.loads(exported.read_text(encoding="utf-8"))["body"]
    flipped = ("A" if body[50] != "A" else "B").join((body[:50], body[51:]))
    refused(elsewhere, changed(exported, body=flipped), "cannot be decrypted")


def test_a_changed_header(elsewhere: State, exported: Path) -> None:
    refused(elsewhere, changed(exported, stack="00000000"), "cannot be decrypted")
    refused(elsewhere, changed(exported, stack="../../up"), "no exported state, or is damaged")
    costs = {"n": 2**30, "r": 8, "p": 1, "salt": ""}
    refused(elsewhere, changed(exported, stack="00000000", scrypt=costs), "no exported state")
    refused(elsewhere, changed(exported, scrypt={"n": 1}), "no exported state")


def test_a_newer_format(elsewhere: State, exported: Path) -> None:
    refused(elsewhere, changed(exported, version=2), "by a newer pgstead")


@pytest.mark.parametrize("text", ["", "shopping", "[]", '{"format": "other", "body": ""}'])
def test_files_that_are_none(elsewhere: State, tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text, encoding="utf-8")
    refused(elsewhere, tmp_path / "x", "no exported state, or is damaged")
    refused(elsewhere, tmp_path / "missing", "cannot be read: No such file")


def test_another_stacks_state(exported: Path, tmp_path: Path) -> None:
    other = open_state(default_url(tmp_path / "stack.yaml", "other"), "other", create=True)
    refused(other, exported, "is the state of stack 'demo', not of 'other'")
    other.close()


def test_passphrases(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text(f" {PASSPHRASE}\n", encoding="utf-8")
    assert read_passphrase(file, {"PGSTEAD_PASSPHRASE": "another one"}) == f" {PASSPHRASE}"
    assert read_passphrase(None, {"PGSTEAD_PASSPHRASE": "another one"}) == "another one"
    assert read_passphrase(None, {}) is None
    with pytest.raises(StateError, match="shorter than 8"):
        read_passphrase(None, {"PGSTEAD_PASSPHRASE": "hunter2"})
    with pytest.raises(StateError, match="cannot be read"):
        read_passphrase(tmp_path / "missing", {})


def test_nothing_is_imported_into_a_view(exported: Path, tmp_path: Path) -> None:
    url = default_url(tmp_path / "missing" / "stack.yaml", "demo")
    refused(open_state(url, "demo", create=False), exported, "no state of stack 'demo'")
    assert not (tmp_path / "missing").exists()
