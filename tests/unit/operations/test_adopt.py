"""A lost state, rebuilt on the memory platform and from local folders."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pgstead.cli.app import app
from pgstead.engine.resource import Observed, Recorded, Resource, Unknown
from pgstead.errors import PlatformError, Refused, StateError
from pgstead.operations import plan as planning
from pgstead.operations.adopt import Adoption, Source, adopt
from pgstead.operations.session import open_session
from pgstead.operations.transfer import export
from pgstead.operations.up import up
from pgstead.platforms.base import Found
from pgstead.platforms.memory import MemoryPlatform, MemoryProvider, World
from support.asking import ASKING

STACK = """
name: lost
platform: {kind: memory}
cluster: {postgres: {members: 2}, etcd: {members: 1}, load_balancer: {members: 1}}
"""
GROWN = STACK.replace("{members: 2}", "{members: 3}")
CERTIFICATE, KEY = (f"file /etc/patroni/tls/server.{suffix}" for suffix in ("crt", "key"))


@dataclass
class Lost:
    """A stack that is up, and how its state is lost."""

    file: Path
    passphrase: Path

    @property
    def database(self) -> Path:
        return self.file.parent / ".pgstead" / "lost.db"

    @property
    def world(self) -> World:
        return World(self.file.parent / ".pgstead" / "lost.memory")

    def export(self) -> Source:
        target = self.file.parent / "export.json"
        export(self.file, target, self.passphrase)
        return Source(target, self.passphrase)

    def lose(self) -> None:
        for place in self.database.parent.glob("lost.db*"):
            place.unlink()

    def summary(self) -> str:
        with open_session(self.file) as session:
            return planning.make(session).summary

    def recorded(self) -> Mapping[str, Recorded]:
        with open_session(self.file) as session:
            return session.state.recorded()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stack that is up, made once for all tests: each one works with a copy."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "stack.yaml").write_text(STACK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.delenv("XDG_CONFIG_HOME", raising=False)
        up(folder / "stack.yaml", ASKING)
    return folder


@pytest.fixture
def lost(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lost:
    folder = tmp_path / "home"
    shutil.copytree(made, folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    passphrase = folder / "passphrase"
    passphrase.write_text("correct horse battery\n")
    return Lost(folder / "stack.yaml", passphrase)


def yes(_: Adoption) -> bool:
    return True


def never(_: Adoption) -> bool:
    pytest.fail("nobody was to be asked")


def test_with_an_export_everything_is_as_it_was(lost: Lost) -> None:
    before, source = lost.recorded(), lost.export()
    lost.lose()
    made = adopt(lost.file, source, yes)
    assert made.written
    assert {one.address for one in made.resources} == set(before)
    assert all(one.note == "" for one in made.resources)
    assert lost.recorded() == before
    assert made.summary == lost.summary()
    assert made.summary == "Nothing to do: all 7 resources are as the stack file says."


def test_the_key_may_be_lost_as_well(lost: Lost) -> None:
    source = lost.export()
    lost.lose()
    (key,) = lost.file.parent.glob(".config/pgstead/keys/*.key")
    key.unlink()
    adopt(lost.file, source, yes)
    assert key.exists()
    assert lost.summary().startswith("Nothing to do")


def test_a_refusal_and_a_rehearsal_write_nothing(lost: Lost) -> None:
    source = lost.export()
    lost.lose()
    (key,) = lost.file.parent.glob(".config/pgstead/keys/*.key")
    key.unlink()
    before = sorted(lost.file.parent.rglob("*"))
    assert not adopt(lost.file, source, lambda _: False).written
    assert not adopt(lost.file, source, never, dry_run=True).written
    assert sorted(lost.file.parent.rglob("*")) == before


def test_what_was_made_since_the_export_is_adopted_too(lost: Lost) -> None:
    source = lost.export()
    lost.file.write_text(GROWN)
    up(lost.file, ASKING)
    lost.lose()
    made = adopt(lost.file, source, yes)
    assert "machine.postgres-3" in {one.address for one in made.resources}
    # Its certificate was made since, and went with the state: another one is pushed.
    with open_session(lost.file) as session:
        pending = planning.make(session).pending
    assert {one.address for one in pending} == {
        "machine.postgres-3",
        "machine.load-balancer-1",
    } or ({one.address for one in pending} == {"machine.postgres-3"})
    up(lost.file, ASKING)
    assert lost.summary().startswith("Nothing to do")


def test_what_is_gone_since_the_export_is_told(lost: Lost) -> None:
    source = lost.export()
    lost.world.put("machine.postgres-2", None)
    lost.lose()
    notes = {one.address: one.note for one in adopt(lost.file, source, yes).resources}
    assert notes["machine.postgres-2"] == "is in the export, and is not there"
    assert notes["machine.postgres-1"] == ""
    up(lost.file, ASKING)
    assert lost.summary().startswith("Nothing to do")


def test_a_machine_beside_the_stack_file_is_told_and_stays(lost: Lost) -> None:
    lost.file.write_text(GROWN)
    up(lost.file, ASKING)
    source = lost.export()
    lost.lose()
    lost.file.write_text(STACK)
    notes = {one.address: one.note for one in adopt(lost.file, source, yes).resources}
    assert "the next `up` would remove it" in notes["machine.postgres-3"]
    assert lost.world.get("machine.postgres-3") is not None
    assert "1 to delete" in lost.summary()


def test_what_cannot_be_seen_stays_as_it_was_exported(
    lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, source = lost.recorded(), lost.export()
    lost.lose()
    original = MemoryProvider.observe

    def half_blind(
        self: MemoryProvider, targets: Mapping[str, Resource | Recorded]
    ) -> Mapping[str, Observed]:
        return {**original(self, targets), "machine.etcd-1": Unknown("no permission")}

    with monkeypatch.context() as patch:
        patch.setattr(MemoryProvider, "observe", half_blind)
        notes = {one.address: one.note for one in adopt(lost.file, source, yes).resources}
    assert notes["machine.etcd-1"] == "no permission"
    assert lost.recorded() == before


def test_a_state_that_is_there_is_never_replaced(lost: Lost) -> None:
    source = lost.export()
    with pytest.raises(StateError, match="has a state already"):
        adopt(lost.file, source, never)


def test_a_state_that_came_meanwhile_is_not_replaced(lost: Lost) -> None:
    source = lost.export()
    lost.lose()

    def slow(_: Adoption) -> bool:
        lost_again = adopt(lost.file, source, yes)
        return lost_again.written

    with pytest.raises(StateError, match="has a state already"):
        adopt(lost.file, source, slow)
    assert lost.summary().startswith("Nothing to do")


def test_nothing_is_there_to_adopt(lost: Lost) -> None:
    source = lost.export()
    lost.lose()
    (lost.database.parent / "lost.memory").unlink()
    with pytest.raises(StateError, match="nothing that is there belongs to a stack called 'lost'"):
        adopt(lost.file, source, never)


def test_the_history_says_so(lost: Lost) -> None:
    source = lost.export()
    lost.lose()
    adopt(lost.file, source, yes)
    with open_session(lost.file) as session:
        entries = session.state.history()
    assert [one.command for one in entries[:2]] == ["adopt", "up"]
    assert entries[0].outcome == "done"


def test_whoever_lost_a_state_is_told_before_a_second_stack_is_made(lost: Lost) -> None:
    def told() -> list[str]:
        with open_session(lost.file) as session:
            return [one for one in session.warnings if "pgstead adopt" in one]

    source = lost.export()
    assert told() == []
    lost.lose()
    (warning,) = told()
    assert "etcd-1, load-balancer-1, postgres-1, postgres-2" in warning
    with open_session(lost.file) as session, pytest.raises(StateError) as caught:
        session.must_exist()
    assert "pgstead adopt" in (caught.value.hint or "")
    adopt(lost.file, source, yes)
    assert told() == []


# -- without an export


def test_without_an_export_it_says_what_is_lost(lost: Lost) -> None:
    lost.lose()
    with pytest.raises(Refused, match="was lost with the state") as caught:
        adopt(lost.file, Source(), never)
    assert "certificate authority 'lost'" in caught.value.message
    assert "password 'superuser'" in caught.value.message
    assert "--export" in (caught.value.hint or "")
    assert not lost.database.exists()


def test_what_the_stack_file_holds_needs_no_export(lost: Lost) -> None:
    with open_session(lost.file) as session:
        stack, materials = session.blueprint, session.materials
        authority = materials.authority("lost")
        passwords = {name: {"value": materials.password(name)} for name in session.stack.passwords}
        assert stack.machines
    given = {"lost": {"key": authority.key, "certificate": authority.certificate}}
    lost.file.write_text(
        f"{STACK}certificate_authorities: {json.dumps(given)}\npasswords: {json.dumps(passwords)}\n"
    )
    lost.lose()
    assert adopt(lost.file, Source(), yes).written
    with open_session(lost.file) as session:
        made = planning.make(session)
    # Certificates are issued anew, under the same authority.
    assert {one.effect for one in made.pending} <= {None, "reload"}
    up(lost.file, ASKING)
    assert lost.summary().startswith("Nothing to do")


# -- several stacks of one name


def _found(*ids: str) -> tuple[Found, ...]:
    return tuple(Found(f"machine-{one}", one, where=one) for one in ids)


@pytest.mark.parametrize(
    ("ids", "source", "words"),
    [
        (("aaaaaaaa", "bbbbbbbb"), Source(), "there are 2 stacks called 'lost': aaaaaaaa has"),
        (("aaaaaaaa",), Source(stack_id="cccccccc"), "with the id cccccccc: aaaaaaaa has"),
    ],
)
def test_the_stack_must_be_the_one_that_is_meant(
    ids: tuple[str, ...],
    source: Source,
    words: str,
    lost: Lost,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost.lose()
    monkeypatch.setattr(MemoryPlatform, "found", lambda _: _found(*ids))
    with pytest.raises(StateError, match=words):
        adopt(lost.file, source, never)


def test_an_export_of_another_stack_of_that_name_is_refused(
    lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = lost.export()
    lost.lose()
    monkeypatch.setattr(MemoryPlatform, "found", lambda _: _found("aaaaaaaa"))
    with pytest.raises(StateError, match="no machine is of the stack 'lost' with the id"):
        adopt(lost.file, source, never)


def test_ground_that_cannot_be_seen_is_no_ground_to_adopt(
    lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(_: MemoryPlatform) -> tuple[Found, ...]:
        raise PlatformError("kvm2 does not answer")

    source = lost.export()
    lost.lose()
    monkeypatch.setattr(MemoryPlatform, "found", down)
    with pytest.raises(PlatformError, match="kvm2 does not answer"):
        adopt(lost.file, source, never)


# -- the command


def test_the_command(lost: Lost, monkeypatch: pytest.MonkeyPatch) -> None:
    source = lost.export()
    lost.lose()
    monkeypatch.setenv("PGSTEAD_PASSPHRASE", lost.passphrase.read_text().strip())
    words = ["adopt", str(lost.file), "--export", str(source.export)]
    rehearsal = CliRunner().invoke(app, [*words, "--dry-run"])
    assert rehearsal.exit_code == 0, rehearsal.output
    assert "machine.postgres-1" in rehearsal.output
    assert "Nothing was written." in rehearsal.output
    done = CliRunner().invoke(app, [*words, "--yes", "--format", "json"])
    document = json.loads(done.stdout)
    assert (document["stack"], document["written"]) == ("lost", True)
    assert document["plan"].startswith("Nothing to do")
    assert {"address": "machine.etcd-1", "where": "in memory", "note": ""} in document["resources"]
    assert os.environ["HOME"] == str(lost.file.parent)
