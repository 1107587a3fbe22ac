"""A server runs the major version that its data was made with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pgstead.errors import MissingSoftware
from pgstead.machine import Machine
from pgstead.modules.base import Context, Facts
from pgstead.modules.build import build
from pgstead.modules.fake import FakeMaterials
from pgstead.modules.parts.postgresql_major import Data, installed_major, kept_major
from pgstead.spec import from_tree

Tree = dict[str, Any]

DATA = Data("patroni.main", "postgres-1", "/data")
FIFTEEN = {"postgresql": "15.18", "postgresql-15": "15.18"}
BOTH = {"postgresql": "16.2", "postgresql-15": "15.18", "postgresql-16": "16.2"}
SIXTEEN = {"postgresql": "16.2", "postgresql-16": "16.2"}


def context(
    materials: FakeMaterials, versions: Mapping[str, str], look: str | None = None
) -> Context:
    """`look` is what each data folder's PG_VERSION holds."""
    return Context(Facts("local", versions), materials, look=lambda _machine, _path: look)


@pytest.fixture
def materials() -> FakeMaterials:
    """Of a cluster that was made when there was 15 alone."""
    made = FakeMaterials()
    assert installed_major(context(made, FIFTEEN), None, DATA).runs == "15"
    return made


@pytest.mark.parametrize("wanted", [None, "15", 15, "15.4"])
def test_a_newer_one_that_appears_changes_nothing(
    materials: FakeMaterials, wanted: str | int | None
) -> None:
    major = installed_major(context(materials, BOTH), wanted, DATA)
    assert (major.runs, major.refused) == ("15", ())
    assert major.package.name == "postgresql-15"


@pytest.mark.parametrize("wanted", [16, "14"])
def test_another_one_is_refused_installed_or_not(
    materials: FakeMaterials, wanted: str | int
) -> None:
    major = installed_major(context(materials, BOTH, "15\n"), wanted, DATA)
    assert major.runs == "15", "what runs goes on as it is"
    reason, way = major.refused
    assert f"PostgreSQL {wanted} cannot open its data, which PostgreSQL 15 made" in reason
    assert "pg_upgrade" in reason
    assert "go back to version 15" in way
    assert "pg_dumpall" in way
    assert materials.remembered == {"postgresql/patroni.main": "15"}


def test_after_a_lost_state_the_data_tells() -> None:
    found = context(FakeMaterials(), BOTH, "15\n")
    assert installed_major(found, None, DATA).runs == "15"
    assert installed_major(context(FakeMaterials(), BOTH, "15\n"), "16", DATA).refused


def test_data_that_was_upgraded_by_hand_is_believed(materials: FakeMaterials) -> None:
    major = installed_major(context(materials, BOTH, "16\n"), "16", DATA)
    assert (major.runs, major.refused) == ("16", ())
    assert installed_major(context(materials, BOTH), None, DATA).runs == "16"


def test_data_without_a_version_is_not_looked_at() -> None:
    """On guests, where nobody knows which version the packages bring: it takes a connection."""

    def look(machine: str, path: str) -> str | None:
        raise AssertionError(machine, path)

    found = Context(Facts("libvirt"), FakeMaterials(), look=look)
    assert installed_major(found, None, DATA).package.name == "postgresql"


def test_an_image_needs_nothing_installed(materials: FakeMaterials) -> None:
    assert kept_major(context(FakeMaterials(), {}), "16", DATA).runs == "16"
    assert kept_major(context(FakeMaterials(), BOTH), None, DATA).runs is None
    assert kept_major(context(materials, {}), "16", DATA).refused


def test_a_wanted_one_that_is_gone_is_named_by_its_package(materials: FakeMaterials) -> None:
    with pytest.raises(MissingSoftware, match="wants PostgreSQL 15, but there is 16") as caught:
        installed_major(context(materials, SIXTEEN), "15", DATA)
    assert "postgresql-15" in str(caught.value.hint)
    # One that is only kept is missed by the platform, and not where it is not needed.
    assert installed_major(context(materials, SIXTEEN), None, DATA).runs == "15"


def _built(tree: Tree, materials: FakeMaterials, platform: str = "memory") -> tuple[Machine, ...]:
    top = {"name": "unit", "platform": {"kind": "memory"}, "certificate_authorities": {"ca": {}}}
    stack = from_tree({**top, "modules": tree}, folder=Path("/nowhere"), environ={})
    return build(stack, Context(Facts(platform, BOTH), materials)).machines


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ({"postgres_image": "postgres:15.4"}, {"postgres_image": "postgres:16-alpine"}, True),
        ({"postgres_image": "postgres:15.4"}, {"postgres_image": "postgres:15.8"}, False),
        ({"postgres_image": "postgres:15"}, {"postgres_image": "postgres:latest"}, False),
        ({"postgres_image": "postgres"}, {"postgres_image": "postgres:16"}, False),
        ({"version": 15}, {"postgres_image": "h:5000/library/postgres:16"}, True),
        ({"version": 15}, {}, False),
        ({}, {"version": 15}, True),
    ],
)
def test_a_server_of_its_own_keeps_its_version(
    before: Tree, after: Tree, *, refused: bool, server: Tree
) -> None:
    materials = FakeMaterials()
    (first,) = _built({"it": {**server, **before}}, materials)
    assert not first.refused
    (then,) = _built({"it": {**server, **after}}, materials)
    assert bool(then.refused) is refused
    assert "postgres_image" in after or then.postgresql in ("15", "16")


def test_a_new_member_has_its_clusters_version(patroni: Tree, materials: FakeMaterials) -> None:
    modules = {name: {**patroni, "name": name} for name in ("postgres-1", "postgres-2")}
    machines = _built(modules, materials, "local")
    assert [one.postgresql for one in machines] == ["15", "15"]
    other = {**patroni, "name": "other-1", "patroni": {"scope": "other"}}
    assert _built({"other-1": other}, materials, "local")[0].postgresql == "16"
