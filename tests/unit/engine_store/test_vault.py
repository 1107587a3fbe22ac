"""Materials at rest: encrypted, bound to their names, and never overwritten by a wrong key."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pgstead.engine.crypto import Cipher, key_text, new_key, parse_key
from pgstead.engine.keys import KEY, KEY_FILE, NEW_KEY, NEW_KEY_FILE, KeyPlace, key_place
from pgstead.engine.state import State, open_state
from pgstead.engine.vault import Vault
from pgstead.errors import StateError

PLAIN = {"password/a": b"correct horse battery", "address/b": b"127.9.9.9"}


@pytest.fixture
def place(state: State, tmp_path: Path) -> KeyPlace:
    return key_place(state.stack_id, {"XDG_CONFIG_HOME": str(tmp_path / "config")})


def next_file(place: KeyPlace) -> Path:
    assert place.next_file is not None
    return place.next_file


def test_nothing_is_made_before_the_first_save(state: State, place: KeyPlace) -> None:
    assert Vault(state, place).load() == {}
    assert not place.file.parent.exists()


def test_what_is_saved_is_loaded(state: State, place: KeyPlace) -> None:
    vault = Vault(state, place)
    vault.save(PLAIN)
    vault.save({"address/b": b"127.9.9.8", "c": b""}, ["password/a"])
    assert Vault(state, place).load() == {"address/b": b"127.9.9.8", "c": b""}


def test_no_secret_stands_in_the_database(state: State, place: KeyPlace, tmp_path: Path) -> None:
    Vault(state, place).save(PLAIN)
    files = list((tmp_path / ".pgstead").iterdir())
    content = b"".join(each.read_bytes() for each in files)
    assert b"password/a" in content
    for secret in (*PLAIN.values(), place.file.read_bytes().strip()):
        assert secret not in content


def test_the_key_file_is_for_its_owner_alone(state: State, place: KeyPlace) -> None:
    Vault(state, place).save(PLAIN)
    assert stat.S_IMODE(place.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.file.parent.stat().st_mode) == 0o700
    assert [each.name for each in place.file.parent.iterdir()] == [f"{state.stack_id}.key"]


def check_untouched(state: State, place: KeyPlace, words: str) -> StateError:
    """Neither loading nor saving works, and nothing is changed by trying."""
    before = state.materials(), state.key_check()
    with pytest.raises(StateError, match=words) as caught:
        Vault(state, place).load()
    with pytest.raises(StateError):
        Vault(state, place).save({"new": b"value"})
    assert (state.materials(), state.key_check()) == before
    return caught.value


def test_a_lost_key(state: State, place: KeyPlace) -> None:
    Vault(state, place).save(PLAIN)
    place.file.unlink()
    assert str(place.file) in check_untouched(state, place, "is missing").message


def test_a_wrong_key(state: State, place: KeyPlace) -> None:
    Vault(state, place).save(PLAIN)
    place.file.write_text(key_text(new_key()), encoding="utf-8")
    check_untouched(state, place, "is not the one that the materials are encrypted with")


def test_a_key_that_others_may_read(state: State, place: KeyPlace) -> None:
    Vault(state, place).save(PLAIN)
    place.file.chmod(0o644)
    assert "chmod 600" in str(check_untouched(state, place, "others may read").hint)


def test_a_key_that_is_none(state: State, place: KeyPlace) -> None:
    Vault(state, place).save(PLAIN)
    place.file.write_text("hunter2", encoding="utf-8")
    assert "hunter2" not in check_untouched(state, place, "holds no key").message


@pytest.mark.parametrize("text", ["", "short", "é" * 44, key_text(bytes(31)), key_text(bytes(33))])
def test_texts_that_are_no_keys(text: str) -> None:
    with pytest.raises(StateError, match="the file x holds no key"):
        parse_key(text, "the file x")


def test_the_environment_comes_first(state: State, tmp_path: Path) -> None:
    text = key_text(new_key())
    place = key_place(state.stack_id, {KEY: text, "XDG_CONFIG_HOME": str(tmp_path / "config")})
    Vault(state, place).save(PLAIN)
    assert not (tmp_path / "config").exists()
    assert text not in repr(place)
    assert Vault(state, place).load() == PLAIN
    assert Cipher(parse_key(text, KEY), state.stack_id).fits(state.key_check() or b"")


def test_a_file_named_in_the_environment(state: State, tmp_path: Path) -> None:
    place = key_place(state.stack_id, {KEY_FILE: str(tmp_path / "team.key")})
    Vault(state, place).save(PLAIN)
    assert (tmp_path / "team.key").exists()


def test_a_folder_that_cannot_be_written(state: State, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("a file", encoding="utf-8")
    place = key_place(state.stack_id, {"XDG_CONFIG_HOME": str(tmp_path / "config")})
    with pytest.raises(StateError, match=r"the key file .* cannot be used"):
        Vault(state, place).save(PLAIN)
    assert state.materials() == {}


def test_a_row_cannot_take_anothers_place(state: State, place: KeyPlace) -> None:
    Vault(state, place).save(PLAIN)
    check = state.key_check() or b""
    rows = state.materials()
    swapped = {"address/b": rows["password/a"]}
    state.put_materials(swapped, key_check=check, expected=check)
    with pytest.raises(StateError, match="material 'address/b' cannot be decrypted"):
        Vault(state, place).load()
    state.put_materials({"address/b": b""}, key_check=check, expected=check)
    with pytest.raises(StateError, match="material 'address/b' cannot be decrypted"):
        Vault(state, place).load()


def test_a_save_sees_that_the_key_changed_meanwhile(state: State, place: KeyPlace) -> None:
    Vault(state, place).save(PLAIN)
    late = Vault(state, place)
    late.load()
    assert Vault(state, place).rekey() == str(place.file)
    with pytest.raises(StateError, match="changed by another process"):
        late.save({"new": b"value"})
    assert Vault(state, place).load() == PLAIN


def test_rekey_changes_every_row(state: State, place: KeyPlace) -> None:
    Vault(state, place).save(PLAIN)
    old, before = place.file.read_text(encoding="utf-8"), state.materials()
    vault = Vault(state, place)
    vault.rekey()
    vault.save({"more": b"value"})
    assert Vault(state, place).load() == PLAIN | {"more": b"value"}
    assert place.file.read_text(encoding="utf-8") != old
    assert not next_file(place).exists()
    assert all(state.materials()[name] != row for name, row in before.items())


def test_rekey_of_nothing(state: State, place: KeyPlace) -> None:
    with pytest.raises(StateError, match="no materials yet"):
        Vault(state, place).rekey()
    assert not place.file.parent.exists()


def test_rekey_with_keys_of_the_environment(state: State) -> None:
    old, new = key_text(new_key()), key_text(new_key())
    Vault(state, key_place(state.stack_id, {KEY: old})).save(PLAIN)
    with pytest.raises(StateError, match="PGSTEAD_KEY says which key to use"):
        Vault(state, key_place(state.stack_id, {KEY: old})).rekey()
    both = key_place(state.stack_id, {KEY: old, NEW_KEY: new})
    assert Vault(state, both).rekey() == NEW_KEY
    assert Vault(state, both).load() == PLAIN
    assert Vault(state, key_place(state.stack_id, {KEY: new})).load() == PLAIN
    with pytest.raises(StateError, match="the key in PGSTEAD_KEY is not the one"):
        Vault(state, key_place(state.stack_id, {KEY: old})).load()


def test_rekey_leaves_a_shared_key_file_alone(state: State, url: str, tmp_path: Path) -> None:
    shared = {KEY_FILE: str(tmp_path / "team.key")}
    other = open_state(url, "other", create=True)
    for each in (state, other):
        Vault(each, key_place(each.stack_id, shared)).save(PLAIN)
    with pytest.raises(StateError, match="PGSTEAD_KEY_FILE says which key"):
        Vault(state, key_place(state.stack_id, shared)).rekey()
    both = shared | {NEW_KEY_FILE: str(tmp_path / "next.key")}
    new = Vault(state, key_place(state.stack_id, both)).rekey()
    assert new == str(tmp_path / "next.key")
    assert Vault(state, key_place(state.stack_id, {KEY_FILE: new})).load() == PLAIN
    assert Vault(other, key_place(other.stack_id, shared)).load() == PLAIN
    Vault(other, key_place(other.stack_id, both)).rekey()
    assert Vault(other, key_place(other.stack_id, {KEY_FILE: new})).load() == PLAIN
    other.close()


KILLED = """
import os, signal, sys
from pgstead.engine import keys, state as states
from pgstead.engine.vault import Vault

def die(*_args, **_options):
    os.kill(os.getpid(), signal.SIGKILL)

def after(function):
    def run(*args, **options):
        function(*args, **options)
        die()
    return run

url, point = sys.argv[1:]
if point == "before the new key":
    keys.KeyPlace.stage = die
elif point == "after the new key":
    keys.KeyPlace.stage = after(keys.KeyPlace.stage)
elif point == "among the rows":
    states.update_materials = after(states.update_materials)
elif point == "after the rows":
    states.State.put_materials = after(states.State.put_materials)
elif point == "after the swap":
    keys.KeyPlace.promote = after(keys.KeyPlace.promote)
opened = states.open_state(url, "demo", create=True)
Vault(opened).rekey()
"""
POINTS = (
    "before the new key",
    "after the new key",
    "among the rows",
    "after the rows",
    "after the swap",
)


@pytest.mark.parametrize("point", POINTS)
def test_rekey_killed_at_any_point(
    url: str, state: State, place: KeyPlace, tmp_path: Path, point: str
) -> None:
    Vault(state, place).save(PLAIN)
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    environment = {name: text for name, text in environment.items() if name not in (KEY, KEY_FILE)}
    command = [sys.executable, "-c", KILLED, url, point]
    ended = subprocess.run(command, env=environment, check=False, timeout=60)
    assert ended.returncode == -9
    assert Vault(state, place).load() == PLAIN
    again = Vault(state, place)
    again.rekey()
    assert Vault(state, place).load() == PLAIN
    assert not next_file(place).exists()
