"""Materials: made once, kept, renewed in time, and never said aloud."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pgstead.certificates import Authority, CertificateRequest, make_authority, read
from pgstead.engine.keys import key_place
from pgstead.engine.materials import StoredMaterials
from pgstead.engine.state import default_url, open_state
from pgstead.engine.vault import Vault
from pgstead.errors import PlatformError, SpecError, StateError
from pgstead.modules.base import Materials

NOW = datetime(2030, 1, 1, tzinfo=UTC)
REQUEST = CertificateRequest(
    name="etcd-1/server",
    authority="main",
    common_name=None,
    organization="pgstead",
    addresses=("127.5.0.1",),
)


@dataclass
class Memory:
    """A store that notes what it is told."""

    rows: dict[str, bytes] = field(default_factory=dict)
    saves: list[set[str]] = field(default_factory=list)

    def load(self) -> dict[str, bytes]:
        return dict(self.rows)

    def save(self, changed: Mapping[str, bytes], removed: Collection[str] = ()) -> None:
        self.rows.update(changed)
        for name in removed:
            del self.rows[name]
        self.saves.append({*changed, *removed})


@dataclass
class Allocator:
    """Gives 127.5.0.1 and so on."""

    calls: list[list[str]] = field(default_factory=list)

    def __call__(self, machines: Iterable[str], taken: Mapping[str, str]) -> Mapping[str, str]:
        names = list(machines)
        self.calls.append(names)
        free = (f"127.5.0.{n}" for n in range(1, 255) if f"127.5.0.{n}" not in taken.values())
        return dict(zip(names, free, strict=False))


@pytest.fixture
def store() -> Memory:
    return Memory()


def opened(
    store: Memory,
    now: datetime = NOW,
    passwords: Mapping[str, str] | None = None,
    allocator: Allocator | None = None,
) -> StoredMaterials:
    return StoredMaterials(
        store, allocate=allocator or Allocator(), passwords=passwords, clock=lambda: now
    )


def test_it_is_what_modules_ask_for(store: Memory) -> None:
    materials: Materials = opened(store)
    assert materials.password("a")


def test_nothing_is_written_until_saved(store: Memory) -> None:
    materials = opened(store)
    materials.address("a")
    materials.certificate(REQUEST)
    assert materials.changed()
    assert store.saves == []
    materials.save()
    assert store.saves == [{"address/a", "authority/main", "certificate/etcd-1/server"}]
    materials.save()
    assert len(store.saves) == 1


def ask_everything(materials: StoredMaterials) -> tuple[object, ...]:
    return (
        materials.address("a"),
        materials.address("b", "127.9.9.9"),
        materials.password("superuser"),
        materials.authority("main"),
        materials.certificate(REQUEST),
        materials.digest("text"),
    )


def test_the_second_run_gets_the_same(store: Memory) -> None:
    first = opened(store)
    asked = ask_everything(first)
    assert ask_everything(first) == asked
    first.save()
    second = opened(store, NOW + timedelta(days=1))
    assert ask_everything(second) == asked
    assert not second.changed()


def test_only_what_changed_is_written(store: Memory) -> None:
    first = opened(store)
    ask_everything(first)
    first.save()
    second = opened(store)
    second.address("c")
    second.save()
    assert store.saves[-1] == {"address/c"}


def test_passwords(store: Memory) -> None:
    materials = opened(store, passwords={"given": "hunter2"})
    made = materials.password("made")
    assert len(made) == 32
    assert made.replace("-", "").replace("_", "").isalnum()
    assert made != materials.password("other")
    assert materials.password("given") == "hunter2"
    materials.save()
    assert b"hunter2" not in b"".join(store.rows.values())


def test_a_changed_password_is_rotated_with_the_old_one(store: Memory) -> None:
    first = opened(store, passwords={"app": "old"})
    assert first.server_passwords("app") == ()
    first.mark_applied({"app": "old"})
    assert store.saves == [{"applied/app"}]
    second = opened(store, passwords={"app": "new"})
    assert (second.server_passwords("app"), second.password("app")) == (("old",), "new")
    second.mark_applied({"app": "new"})
    second.mark_applied({"app": "new"})
    assert len(store.saves) == 2
    assert opened(store).server_passwords("app") == ("new",)


def test_every_password_that_a_server_may_have_is_known_until_one_is_applied(
    store: Memory,
) -> None:
    opened(store).mark_applied({"app": "one"})
    for tried in ("two", "three", "two"):
        opened(store).mark_tried({"app": tried})
    materials = opened(store)
    assert materials.server_passwords("app") == ("three", "two", "one")
    assert {"one", "two", "three"} <= materials.secrets()
    materials.mark_applied({"app": "three"})
    assert opened(store).server_passwords("app") == ("three",)


def test_a_word_is_remembered_as_long_as_it_is_said_again(store: Memory) -> None:
    materials = opened(store)
    assert materials.recall("postgresql/patroni.main") is None
    materials.remember("postgresql/patroni.main", "15")
    materials.remember("postgresql/machine.alone", "15")
    assert store.saves == []
    materials.save()
    materials = opened(store)
    assert materials.recall("postgresql/patroni.main") == "15"
    materials.remember("postgresql/patroni.main", "15")
    assert not materials.changed()
    materials.prune()
    assert opened(store).recall("postgresql/machine.alone") is None
    assert opened(store).recall("postgresql/patroni.main") == "15"
    assert "15" not in materials.secrets()


def test_addresses_are_reserved_in_one_go(store: Memory) -> None:
    allocator = Allocator()
    materials = opened(store, allocator=allocator)
    materials.reserve(["b", "a", "c"])
    assert allocator.calls == [["a", "b", "c"]]
    assert [materials.address(name) for name in "abc"] == ["127.5.0.1", "127.5.0.2", "127.5.0.3"]
    assert len(allocator.calls) == 1
    materials.save()
    again = Allocator()
    second = opened(store, allocator=again)
    second.reserve("abcd")
    assert again.calls == [["d"]]
    assert second.address("d") == "127.5.0.4"


def test_a_wanted_address_is_not_given_to_another(store: Memory) -> None:
    materials = opened(store)
    materials.address("a", "127.5.0.1")
    assert materials.address("b") == "127.5.0.2"
    with pytest.raises(SpecError, match=r"'a' and 'c' both have the address 127\.5\.0\.1"):
        materials.address("c", "127.5.0.1")


def test_an_address_that_was_taken_since_is_chosen_anew(store: Memory) -> None:
    materials = opened(store)
    assert materials.address("a") == "127.5.0.1"
    materials.save()
    materials.release_address("a")
    materials.address("b", "127.5.0.1")
    assert materials.address("a") == "127.5.0.2"
    materials.save()
    assert opened(store).address("a") == "127.5.0.2"


def test_a_released_address_is_forgotten(store: Memory) -> None:
    materials = opened(store)
    materials.address("a")
    materials.save()
    materials.release_address("a")
    assert materials.changed()
    materials.save()
    assert store.rows == {}
    assert not materials.changed()


def test_no_free_address(store: Memory) -> None:
    materials = StoredMaterials(store, allocate=lambda machines, taken: {})
    with pytest.raises(PlatformError, match="no free address for machine 'a'"):
        materials.address("a")


def serials(store: Memory, request: CertificateRequest, now: datetime) -> str:
    materials = opened(store, now)
    found = read(materials.certificate(request).certificate).serial
    materials.save()
    return found


def test_certificates_are_renewed_in_time(store: Memory) -> None:
    first = serials(store, REQUEST, NOW)
    assert serials(store, REQUEST, NOW + timedelta(days=334)) == first
    second = serials(store, REQUEST, NOW + timedelta(days=336))
    assert second != first
    assert serials(store, REQUEST, NOW + timedelta(days=337)) == second


@pytest.mark.parametrize(
    "changed",
    [
        replace(REQUEST, addresses=("127.5.0.2",)),
        replace(REQUEST, names=("more",)),
        replace(REQUEST, validity_hours=48 * 365),
        replace(REQUEST, client=True),
    ],
)
def test_a_changed_request_gets_a_new_certificate(
    store: Memory, changed: CertificateRequest
) -> None:
    first = serials(store, REQUEST, NOW)
    second = serials(store, changed, NOW)
    assert second != first
    assert serials(store, changed, NOW) == second


def test_a_later_renewal_is_no_change(store: Memory) -> None:
    first = serials(store, REQUEST, NOW)
    assert serials(store, replace(REQUEST, early_renewal_hours=1), NOW) == first


def test_a_period_shorter_than_its_renewal_is_not_renewed_by_every_run(store: Memory) -> None:
    short = replace(REQUEST, validity_hours=24)
    first = serials(store, short, NOW)
    assert serials(store, short, NOW + timedelta(hours=11)) == first
    assert serials(store, short, NOW + timedelta(hours=13)) != first


def test_a_given_authority(store: Memory) -> None:
    own = make_authority("own", "user", now=NOW)
    first = opened(store)
    assert first.authority("main", own) == own
    pair = first.certificate(REQUEST)
    assert pair.ca == own.certificate
    first.save()
    assert set(store.rows) == {"certificate/etcd-1/server"}
    second = opened(store)
    second.authority("main", own)
    assert second.certificate(REQUEST) == pair
    third = opened(store)
    third.authority("main", make_authority("own", "user", now=NOW))
    assert third.certificate(REQUEST) != pair
    with pytest.raises(SpecError, match="key of certificate authority 'x' does not belong"):
        third.authority("x", Authority(own.certificate, make_authority("a", "b").key))


def test_an_authority_near_its_end_is_told_of_and_renews_nothing(store: Memory) -> None:
    own = make_authority("own", "user", validity_hours=100, now=NOW)
    first = opened(store)
    first.authority("main", own)
    pair = first.certificate(REQUEST)
    assert "authority 'main' ends at 2030-01-05 04:00 UTC" in first.warnings()[0]
    first.save()
    later = opened(store, NOW + timedelta(hours=90))
    later.authority("main", own)
    assert later.certificate(REQUEST) == pair
    assert not later.changed()


def test_two_requests_under_one_name(store: Memory) -> None:
    materials = opened(store)
    materials.certificate(REQUEST)
    with pytest.raises(StateError, match="two different certificates"):
        materials.certificate(replace(REQUEST, client=True))


def test_digests_are_keyed(store: Memory) -> None:
    first = opened(store)
    digest = first.digest("text")
    assert len(digest) == 64
    first.save()
    assert opened(store).digest("text") == digest
    assert opened(store).digest("other") != digest
    assert opened(Memory()).digest("text") != digest


def test_every_secret_is_known(store: Memory) -> None:
    first = opened(store, passwords={"given": "hunter2"})
    pair = first.certificate(REQUEST)
    made = first.password("made")
    first.mark_applied({"app": made})
    own = make_authority("own", "user")
    first.authority("own", own)
    first.digest("x")
    first.save()
    known = first.secrets()
    assert {"hunter2", made} <= known
    body = [line for line in pair.key.splitlines() if not line.startswith("-----")]
    assert set(body) <= known
    assert set((own.key or "").splitlines()[1:-1]) <= known
    assert not any(line in pair.certificate for line in known)
    # Known again in the next run, before anything is asked for.
    assert {made, *body} <= opened(store).secrets()


def test_prune_removes_what_nobody_asked_for(store: Memory) -> None:
    first = opened(store)
    ask_everything(first)
    first.password("gone")
    first.mark_applied({"superuser": "a", "gone": "b"})
    first.mark_applied({"superuser": "a"})
    first.save()
    second = opened(store)
    ask_everything(second)
    second.prune()
    assert set(store.rows) == {
        "address/a",
        "address/b",
        "applied/superuser",
        "authority/main",
        "certificate/etcd-1/server",
        "digest-key",
        "password/superuser",
    }
    assert not second.changed()


def test_many_threads_ask_at_once(store: Memory) -> None:
    materials = opened(store)

    def ask(turn: int) -> tuple[str, str]:
        return materials.password(f"p{turn % 3}"), materials.address(f"m{turn % 3}")

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(60)))) == 3


def test_with_a_real_vault_no_secret_is_on_disk(tmp_path: Path) -> None:
    state = open_state(default_url(tmp_path / "stack.yaml", "demo"), "demo", create=True)
    place = key_place(state.stack_id, {"XDG_CONFIG_HOME": str(tmp_path / "config")})
    first = StoredMaterials(Vault(state, place), allocate=Allocator(), clock=lambda: NOW)
    asked = ask_everything(first)
    first.save()
    Vault(state, place).rekey()
    second = StoredMaterials(Vault(state, place), allocate=Allocator(), clock=lambda: NOW)
    assert ask_everything(second) == asked
    content = b"".join(each.read_bytes() for each in (tmp_path / ".pgstead").iterdir())
    assert b"password/superuser" in content
    for secret in second.secrets():
        assert secret.encode() not in content
    state.close()
