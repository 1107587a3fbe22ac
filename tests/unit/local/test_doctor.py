from __future__ import annotations

import os
from pathlib import Path

import pytest

from pgstead.platforms.finding import Finding
from pgstead.platforms.local import doctor as module
from pgstead.platforms.local.account import Account
from pgstead.platforms.local.doctor import doctor, fix


def test_everything_is_looked_at() -> None:
    names = [finding.name for finding in doctor()]
    assert names == [
        "user",
        "postgresql",
        "etcd",
        "etcdctl",
        "haproxy",
        "patroni",
        "flock",
        "python",
        "disk",
        "loopback addresses",
    ]


def test_a_program_that_lacks_is_told_of_with_its_package() -> None:
    (etcd,) = [one for one in doctor({"etcd": "/no/etcd"}) if one.name == "etcd"]
    assert not etcd.ok
    assert etcd.package == "etcd-server"


def test_a_user_that_is_not_there_ends_the_search() -> None:
    (finding,) = doctor(user="nobody-of-that-name")
    assert not finding.ok
    assert finding.hint


def test_the_folder_that_bars_the_way_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "venv/bin").mkdir(parents=True)
    python = closed / "venv/bin/python"
    python.touch()
    stranger = Account("stranger", 54321, 54321, tmp_path, switch=True)
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001:
            assert stranger.barrier(python) in (*tmp_path.parents, tmp_path)
            break
    owner = Account("me", os.geteuid(), os.getegid(), tmp_path, switch=False)
    closed.chmod(0o600)
    barrier = owner.barrier(python)
    closed.chmod(0o700)
    assert barrier == closed
    assert owner.barrier(python) is None


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    words: list[list[str]] = []
    monkeypatch.setattr(module, "run", lambda argv, **_: words.append(argv))
    monkeypatch.setattr(module, "unpack", lambda packages, _: words.append(["unpack", *packages]))
    return words


LACKING = [
    Finding("etcd", False, "not installed", package="etcd-server"),
    Finding("haproxy", True, "found", package="haproxy"),
    Finding("disk", False, "full"),
]


def test_root_installs_packages(done: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    said: list[str] = []
    fix(LACKING, said.append)
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "etcd-server"]
    assert done == [["apt-get", "update"], install]
    assert said == [" ".join(words) for words in done]


def test_others_unpack_them(done: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    said: list[str] = []
    fix(LACKING, said.append)
    assert done == [["unpack", "etcd-server"]]
    assert "downloading etcd-server" in said[0]


def test_nothing_is_done_where_nothing_lacks(done: list[list[str]]) -> None:
    fix(LACKING[1:], lambda _: pytest.fail("nothing was to be said"))
    assert done == []
