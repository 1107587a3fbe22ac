from __future__ import annotations

import os
import subprocess

import pytest

from pgstead import run as gate
from pgstead.errors import PlatformError
from pgstead.image import sources
from pgstead.image.lock import Lock
from pgstead.image.sources import parse_targets, require_available, suite_of

DEBIAN = """\
http://deb.debian.org/debian/|bookworm|main|$(SIGNED_BY)|Debian
http://deb.debian.org/debian/|bookworm-updates|main|$(SIGNED_BY)|Debian
http://deb.debian.org/debian-security/|bookworm-security|main|/usr/share/keyrings/x.gpg|Debian
"""
POSTGRESQL = "https://apt.postgresql.org/pub/repos/apt"
OTHERS = f"""\
https://deb.example.org/node|nodistro|main|/usr/share/keyrings/node.gpg|Node
{POSTGRESQL}/|bookworm-pgdg|main|/etc/apt/pg.asc|apt.postgresql.org
"""


def said(text: str) -> gate.Finished:
    return gate.Finished((), 0, text, "")


def test_debian_and_postgresql_come_along_and_nobody_else() -> None:
    found = parse_targets(OTHERS + DEBIAN)
    assert [source.line for source in found] == [
        "deb http://deb.debian.org/debian bookworm main",
        "deb http://deb.debian.org/debian bookworm-updates main",
        "deb http://deb.debian.org/debian-security bookworm-security main",
        f"deb [signed-by=/etc/apt/pg.asc] {POSTGRESQL} bookworm-pgdg main",
    ]
    assert suite_of(found) == "bookworm"


@pytest.mark.parametrize("listed", ["", OTHERS, "garbage\n"])
def test_a_machine_without_debian_s_sources_is_told_so(listed: str) -> None:
    with pytest.raises(PlatformError, match="nothing of Debian"):
        parse_targets(listed)


def test_a_password_never_gets_into_an_image() -> None:
    listed = "https://me:geheim@mirror.example.org/debian/|bookworm|main||Debian\n"
    with pytest.raises(PlatformError, match=r"mirror\.example\.org has a password") as raised:
        parse_targets(listed)
    assert "geheim" not in raised.value.message


def test_the_image_s_python_is_the_one_that_apt_would_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = "python3:\n  Installed: (none)\n  Candidate: 3.11.2-1+b1\n"
    monkeypatch.setattr(sources, "run", lambda *_, **__: said(policy))
    assert sources.python_version() == "3.11"
    monkeypatch.setattr(sources, "run", lambda *_, **__: said(""))
    with pytest.raises(PlatformError, match="no package python3"):
        sources.python_version()


def test_versions_that_left_the_archive_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = "etcd-server | 3.4.23-4 | http://deb.debian.org/debian bookworm/main amd64 Packages\n"
    monkeypatch.setattr(sources, "run", lambda *_, **__: said(listed))
    gone = Lock("bookworm", 4, 1, (), {"etcd-server": "3.4.22-1", "haproxy": "2.6.1"})
    with pytest.raises(PlatformError) as raised:
        require_available(gone)
    assert "etcd-server 3.4.22-1 (there is: 3.4.23-4)" in raised.value.message
    assert "haproxy 2.6.1 (there is: none)" in raised.value.message
    require_available(Lock("bookworm", 4, 1, (), {"etcd-server": "3.4.23-4"}))


@pytest.mark.skipif(not os.path.exists("/usr/bin/apt-get"), reason="no apt here")  # noqa: PTH110
def test_apt_knows_the_format() -> None:
    words = ["apt-get", "indextargets", "--format", sources.FORMAT, "Created-By: Packages"]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert all(line.count("|") == 4 for line in listed.splitlines())
