from __future__ import annotations

from dataclasses import replace

import pytest

from pgstead.errors import SpecError
from pgstead.image.contents import CONTAINERS, packages
from pgstead.image.lock import Lock
from pgstead.image.recipe import Source, recipe

SOURCES = (Source("http://deb.debian.org/debian", "bookworm", "main"),)
LOCK = Lock("bookworm", 5, 1, ("etcd-server",), {"etcd-server": "3.4.23-4"}, {"patroni": "4.1.5"})


def test_packages_are_named_once_and_in_a_stable_order() -> None:
    chosen = packages(containers=True, more=("curl", "pgbackrest"))
    assert len(chosen) == len(set(chosen))
    assert chosen[-1] == "pgbackrest"
    assert {"postgresql", "etcd-server", "haproxy", "cloud-init", "qemu-guest-agent"} <= {*chosen}


def test_containers_are_by_choice() -> None:
    assert not {*CONTAINERS} & {*packages(containers=False)}
    assert {*CONTAINERS} <= {*packages(containers=True)}


def test_no_version_of_postgresql_is_hard_coded() -> None:
    assert not [name for name in packages(containers=True) if name.startswith("postgresql-")]


def test_the_digest_is_of_everything_that_decides() -> None:
    usual = recipe("bookworm", SOURCES)
    assert usual.digest == recipe("bookworm", SOURCES).digest
    others = [
        replace(usual, suite="trixie"),
        replace(usual, size=8),
        replace(usual, wanted=(*usual.wanted, "vim")),
        replace(usual, patroni="patroni==4.0.4"),
        replace(usual, sources=()),
        replace(usual, lock=LOCK),
    ]
    assert len({usual.digest, *(other.digest for other in others)}) == len(others) + 1


def test_identifiers_follow_the_recipe() -> None:
    usual = recipe("bookworm", SOURCES)
    assert usual.identifier("root") == recipe("bookworm", SOURCES).identifier("root")
    assert usual.identifier("root") != usual.identifier("disk")
    assert usual.identifier("root") != recipe("bookworm", SOURCES, size=9).identifier("root")


def test_a_lock_decides_what_is_wanted() -> None:
    locked = recipe("bookworm", SOURCES, lock=LOCK)
    assert (locked.wanted, locked.size) == (("etcd-server",), 5)
    assert recipe("bookworm", SOURCES, lock=LOCK, size=7).size == 7


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(SpecError, match="2 GiB is too small"):
        recipe("bookworm", SOURCES, size=2)
    with pytest.raises(SpecError, match=r"lock file is of bookworm.*sources are of trixie"):
        recipe("trixie", SOURCES, lock=LOCK)


def test_a_source_is_a_line_of_sources_list() -> None:
    assert SOURCES[0].line == "deb http://deb.debian.org/debian bookworm main"
    signed = replace(SOURCES[0], keyring="/usr/share/keyrings/some.asc")
    assert signed.line.startswith("deb [signed-by=/usr/share/keyrings/some.asc] http://")
