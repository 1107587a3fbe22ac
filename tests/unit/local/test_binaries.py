from __future__ import annotations

from pathlib import Path

import pytest

from pgstead.errors import MissingSoftware
from pgstead.platforms.local import binaries
from pgstead.platforms.local.binaries import Binaries, version_key


def program(path: Path, answer: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho asked >> {path}.log\necho '{answer}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system whose programs are all below one folder."""
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", (tmp_path / "bin",))
    monkeypatch.setattr(binaries, "POSTGRESQL_FOLDERS", ((tmp_path, "postgresql/*/bin"),))
    return tmp_path


def found(system: Path, **configured: str) -> Binaries:
    return Binaries(configured, system / "cache", None)


def test_the_newest_postgresql_is_taken_or_the_one_that_is_wanted(system: Path) -> None:
    for version in ("9.6.24", "15.18", "17.2"):
        major = version.partition(".")[0]
        program(system / f"postgresql/{major}/bin/postgres", f"postgres (PostgreSQL) {version} (D)")
    known = found(system)
    assert known.folder("postgresql") == system / "postgresql/17/bin"
    assert known.path("postgres", "15") == system / "postgresql/15/bin/postgres"
    versions = known.versions()
    assert versions["postgresql"] == "17.2"
    assert versions["postgresql-15"] == "15.18"
    with pytest.raises(MissingSoftware, match="postgresql 16 is not installed") as caught:
        known.folder("postgresql", "16")
    assert "postgresql-16" in str(caught.value.hint)
    with pytest.raises(MissingSoftware, match="no program 'initdb'"):
        known.path("initdb")


@pytest.mark.parametrize(
    ("name", "answer", "version"),
    [
        ("etcd", "etcd Version: 3.4.23", "3.4.23"),
        ("haproxy", "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/", "2.6.12"),
        ("etcdctl", "etcdctl version: 3.5.21", "3.5.21"),
    ],
)
def test_versions_are_understood(system: Path, name: str, answer: str, version: str) -> None:
    path = program(system / "bin" / name, answer)
    one = found(system).require(name)
    assert (one.path, one.version) == (path, version)


def test_a_version_is_asked_for_once_per_file(system: Path) -> None:
    path = program(system / "bin/etcd", "etcd Version: 3.4.23")
    for _ in range(3):
        found(system).require("etcd")
    assert Path(f"{path}.log").read_text() == "asked\n"
    program(path, "etcd Version: 3.5.21, newer")
    assert found(system).require("etcd").version == "3.5.21"


def test_what_is_too_old_is_refused_with_the_package(system: Path) -> None:
    program(system / "bin/haproxy", "HA-Proxy version 2.2.9 2021/02/06")
    with pytest.raises(MissingSoftware, match=r"haproxy 2\.2\.9, and 2\.4 is the oldest") as caught:
        found(system).path("haproxy")
    assert "package is haproxy; `pgstead doctor`" in str(caught.value.hint)


def test_what_lacks_is_told_with_the_package(system: Path) -> None:
    with pytest.raises(MissingSoftware, match="etcd is not installed") as caught:
        found(system).path("etcd")
    assert "etcd-server" in str(caught.value.hint)
    assert "etcd" not in found(system).versions()


def test_what_is_configured_is_taken_and_nothing_else(system: Path) -> None:
    program(system / "bin/etcd", "etcd Version: 3.4.23")
    mine = program(system / "mine/etcd", "etcd Version: 3.6.1")
    assert found(system, etcd=str(mine)).path("etcd") == mine
    folder = program(system / "pg/postgres", "postgres (PostgreSQL) 16.1").parent
    assert found(system, postgresql=str(folder)).folder("postgresql") == folder
    with pytest.raises(MissingSoftware, match="etcd: there is no program /no/etcd"):
        found(system, etcd="/no/etcd").path("etcd")


def test_what_was_unpacked_into_the_cache_comes_last(system: Path) -> None:
    unpacked = program(system / "cache/packages/bin/etcd", "etcd Version: 3.5.21")
    program(system / "cache/packages/bin/postgresql-16/postgres", "postgres (PostgreSQL) 16.3")
    assert found(system).path("etcd") == unpacked
    assert found(system).folder("postgresql").name == "postgresql-16"
    program(system / "bin/etcd", "etcd Version: 3.4.23")
    assert found(system).path("etcd") == system / "bin/etcd"


def test_patroni_comes_with_this_python(system: Path) -> None:
    one = found(system).require("patroni")
    assert version_key(one.version) >= (4, 0)
    assert found(system).path("patronictl") == one.path.with_name("patronictl")


def test_a_broken_cache_is_made_anew(system: Path) -> None:
    program(system / "bin/etcd", "etcd Version: 3.4.23")
    cache = system / "cache/versions.json"
    cache.parent.mkdir()
    cache.write_text("[not json")
    assert found(system).require("etcd").version == "3.4.23"
    assert "3.4.23" in cache.read_text()
