"""The program that keeps fluent-bit's configuration current, run as it is on a machine."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from pgstead.modules.parts import fluentbit_updater as updater

Settings = dict[str, Any]
Write = Callable[[Settings], Path]
MADE = "#!/bin/sh\nset -eu\n"


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short folder: GnuPG's agent has 107 bytes for the path of its socket in it."""
    with TemporaryDirectory(prefix="pgstead-") as name:
        yield Path(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Everything but where the configuration comes from; a reload leaves a line behind."""
    (tmp_path / "state").mkdir()
    reload = tmp_path / "reload"
    reload.write_text(f"{MADE}echo reloaded >> {tmp_path}/reloads\n")
    reload.chmod(0o755)
    return {
        "current": str(tmp_path / "dynamic-config"),
        "state": str(tmp_path / "state"),
        "defaults": "/etc/defaults",
        "interval": 30,
        "reload": [str(reload)],
    }


def _run(settings: Settings, folder: Path, *arguments: str) -> int:
    place = folder / "settings.json"
    place.write_text(json.dumps(settings))
    return updater.main([str(place), *arguments])


def _current(settings: Settings) -> dict[str, str]:
    folder = Path(settings["current"])
    return {
        str(one.relative_to(folder)): one.read_text()
        for one in sorted(folder.rglob("*"))
        if one.is_file()
    }


def _reloads(folder: Path) -> int:
    log = folder / "reloads"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_the_defaults_are_there_first_and_once(settings: Settings, tmp_path: Path) -> None:
    settings["source"] = "etcd"
    assert _run(settings, tmp_path, "--defaults") == 0
    lines = _current(settings)["index.conf"].splitlines()
    assert lines[0] == "@INCLUDE /etc/defaults/fluent-bit-service.conf"
    assert len(lines) == 3
    updater.install(settings, {"index.conf": b"another"})
    assert _run(settings, tmp_path, "--defaults") == 0
    assert _current(settings) == {"index.conf": "another"}


def test_a_version_is_taken_whole(settings: Settings, tmp_path: Path) -> None:
    assert updater.install(settings, {"index.conf": b"1", "a/b.conf": b"2"})
    first = str(Path(settings["current"]).readlink())
    assert not updater.install(settings, {"a/b.conf": b"2", "index.conf": b"1"})
    assert updater.install(settings, {"index.conf": b"3"})
    assert _current(settings) == {"index.conf": "3"}
    assert not Path(first).exists()
    assert [one.name for one in (tmp_path / "versions").iterdir()] == [
        Path(settings["current"]).readlink().name
    ]
    assert (Path(settings["current"]) / "index.conf").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["../a", "/", "", "a/../../b"])
def test_a_name_leads_nowhere_else(name: str) -> None:
    with pytest.raises(updater.Refused):
        updater.inside(name)


def test_versions_differ_by_names_and_contents() -> None:
    assert updater.digest({"a": b"bc"}) != updater.digest({"ab": b"c"})


# -- etcd


def _etcdctl(folder: Path, values: dict[str, str]) -> str:
    """A program that answers as etcdctl does, and writes down what it was asked."""

    def coded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    pairs = [{"key": coded(key), "value": coded(value)} for key, value in values.items()]
    answer = folder / "answer.json"
    answer.write_text(json.dumps({"kvs": pairs}))
    program = folder / "etcdctl"
    program.write_text(
        f'{MADE}echo "$ETCDCTL_API ${{ETCDCTL_USER-}} $*" > {folder}/asked\ncat {answer}\n'
    )
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def from_etcd(settings: Settings, tmp_path: Path) -> Settings:
    values = {"/logs/index.conf": "@INCLUDE a.conf\n", "/logs/sub/a.conf": "[SERVICE]\n"}
    etcd = {
        "etcdctl": _etcdctl(tmp_path, values),
        "prefix": "/logs/",
        "endpoints": ["a:1", "b:2"],
        "ca": "/ca.crt",
        "user": "me:made-up",
    }
    return {**settings, "source": "etcd", "etcd": etcd}


def test_keys_of_etcd_are_files(from_etcd: Settings, tmp_path: Path) -> None:
    assert _run(from_etcd, tmp_path, "--once") == 0
    assert _current(from_etcd) == {"index.conf": "@INCLUDE a.conf\n", "sub/a.conf": "[SERVICE]\n"}
    asked = (tmp_path / "asked").read_text()
    words = "--endpoints=a:1,b:2 --cacert=/ca.crt --write-out=json get --prefix -- /logs/"
    assert asked == f"3 me:made-up {words}\n"
    assert _run(from_etcd, tmp_path, "--once") == 0
    assert _reloads(tmp_path) == 1


def test_a_certificate_logs_in_to_etcd(from_etcd: Settings, tmp_path: Path) -> None:
    del from_etcd["etcd"]["user"]
    from_etcd["etcd"] |= {"certificate": "/c.crt", "key": "/c.key"}
    assert _run(from_etcd, tmp_path, "--once") == 0
    assert "--cert=/c.crt --key=/c.key" in (tmp_path / "asked").read_text()


@pytest.mark.parametrize("values", [{}, {"/logs/a.conf": ""}, {"/logs/../index.conf": ""}])
def test_what_cannot_be_taken_changes_nothing(
    values: dict[str, str],
    from_etcd: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _run(from_etcd, tmp_path, "--once") == 0
    before = _current(from_etcd)
    _etcdctl(tmp_path, values)
    assert _run(from_etcd, tmp_path, "--once") == 1
    assert _current(from_etcd) == before
    assert "kept the configuration: " in capsys.readouterr().out
    assert _reloads(tmp_path) == 1


def test_a_server_that_does_not_answer_changes_nothing(
    from_etcd: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = Path(from_etcd["etcd"]["etcdctl"])
    program.write_text(f"{MADE}echo no  one there >&2\nexit 3\n")
    assert _run(from_etcd, tmp_path, "--once") == 1
    said = capsys.readouterr().out
    assert "etcdctl ended with 3: no one there" in said
    assert "made-up" not in said
    assert not Path(from_etcd["current"]).exists()


# -- git

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
needs_gpg = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")


class Repository:
    """A git repository, with a key of its own to sign commits with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "origin"
        self.home = folder / "gnupg"
        self.home.mkdir(mode=0o700)
        self.folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *words: str) -> None:
        who = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "me"), ("EMAIL", "me@local"))
        }
        plain = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        environment = {"PATH": os.environ["PATH"], "GNUPGHOME": str(self.home), **who, **plain}
        subprocess.run(["git", *words], cwd=self.folder, env=environment, check=True)

    def commit(self, files: dict[str, str], *options: str) -> None:
        for name, text in files.items():
            place = self.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=more", *options)

    def key(self, name: str) -> Path:
        """A new key's public half."""
        words = ["gpg", "--batch", "--quiet", "--homedir", str(self.home)]
        made = [*words, "--passphrase", "", "--quick-generate-key", f"{name}@local", "ed25519"]
        subprocess.run(made, check=True)
        place = self.home / f"{name}.asc"
        done = subprocess.run(
            [*words, "--armor", "--export", f"{name}@local"], capture_output=True, check=True
        )
        place.write_bytes(done.stdout)
        return place

    def close(self) -> None:
        """End the agent that gpg started."""
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False)


@pytest.fixture
def repository(tmp_path_factory: pytest.TempPathFactory) -> Any:
    found = Repository(tmp_path_factory.mktemp("r"))  # sockets have 107 bytes at most
    yield found
    found.close()


@pytest.fixture
def from_git(settings: Settings, repository: Repository) -> Settings:
    git = {
        "repo": f"file://{repository.folder}",
        "ref": "main",
        "path": "machine/",
        "trusted_keys": [],
        "ssh_user": "",
        "host_key": "",
    }
    return {**settings, "source": "git", "git": git}


@needs_git
def test_a_folder_of_a_branch_is_followed(
    from_git: Settings, repository: Repository, tmp_path: Path
) -> None:
    repository.commit({"machine/index.conf": "1\n", "machine/a/b.conf": "2\n", "other": "3\n"})
    assert _run(from_git, tmp_path, "--once") == 0
    assert _current(from_git) == {"a/b.conf": "2\n", "index.conf": "1\n"}
    repository.commit({"machine/index.conf": "4\n"})
    assert _run(from_git, tmp_path, "--once") == 0
    assert _current(from_git)["index.conf"] == "4\n"
    assert _reloads(tmp_path) == 2


@needs_git
def test_a_link_in_a_repository_leads_nowhere(
    from_git: Settings, repository: Repository, tmp_path: Path
) -> None:
    repository.commit({"machine/index.conf": "1\n"})
    (repository.folder / "machine" / "passwd").symlink_to("/etc/passwd")
    repository.commit({})
    assert _run(from_git, tmp_path, "--once") == 0
    assert set(_current(from_git)) == {"index.conf"}


@needs_git
@needs_gpg
def test_only_commits_that_a_trusted_key_signed_are_taken(
    from_git: Settings, repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trusted, other = repository.key("trusted"), repository.key("other")
    from_git["git"]["trusted_keys"] = [str(trusted)]
    repository.commit({"machine/index.conf": "1\n"}, "--gpg-sign=trusted@local")
    assert _run(from_git, tmp_path, "--once") == 0
    for options in ((), ("--gpg-sign=other@local",)):
        repository.commit({"machine/index.conf": f"{options}\n"}, *options)
        assert _run(from_git, tmp_path, "--once") == 1
        assert _current(from_git) == {"index.conf": "1\n"}
    assert "no trusted key signed the commit" in capsys.readouterr().out
    from_git["git"]["trusted_keys"].append(str(other))
    assert _run(from_git, tmp_path, "--once") == 0


@pytest.mark.parametrize(
    ("repo", "found"),
    [
        ("git@git.local:a/b.git", ["git.local", "22"]),
        ("ssh://git@git.local/a", ["git.local", "22"]),
        ("ssh://git.local:2222/a", ["git.local", "2222"]),
    ],
)
def test_the_server_of_a_repository(repo: str, found: list[str]) -> None:
    assert updater.server(repo) == found


def test_the_server_must_be_the_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    key = base64.b64encode(b"a key").decode()
    assert updater.known_hosts("ssh://git.local:2222/a", f"ssh-ed25519 {key}") == (
        f"[git.local]:2222 ssh-ed25519 {key}\n"
    )
    scanned = f"# a comment\ngit.local ssh-ed25519 {key}\n".encode()
    monkeypatch.setattr(updater, "run", lambda words: scanned)
    wanted = updater.fingerprint(key)
    assert updater.known_hosts("git@git.local:a", wanted) == f"git.local ssh-ed25519 {key}\n"
    with pytest.raises(updater.Refused, match="no host key of git"):
        updater.known_hosts("git@git.local:a", "SHA256:another")


def test_ssh_trusts_nothing_else(tmp_path: Path) -> None:
    git = {"repo": "git@git.local:a", "host_key": "ssh-ed25519 AAAA", "ssh_key": "/key"}
    command = updater.ssh_command({**git, "ssh_user": "me"}, tmp_path)
    assert command.startswith("ssh -i /key -o IdentitiesOnly=yes -o BatchMode=yes")
    assert "StrictHostKeyChecking=yes" in command
    assert command.endswith("-l me")
