"""Keeps fluent-bit's configuration current from an etcd prefix or a git repository.

This file is laid on a machine as it is: it needs Python 3.9 and nothing else of pgstead.

    fluent-bit-configuration.py SETTINGS [--defaults | --once]

Each version is a folder of its own; `current` is a link to the newest one, changed at once
or not at all. `--defaults` makes a first version that refers to the machine's own files,
unless there is one; `--once` looks once instead of again and again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

INDEX = "index.conf"
SECONDS = 60
"""How long a program that fetches may take."""

Files = dict[str, bytes]
"""The configuration's files: relative path -> content."""


class Refused(Exception):
    """What was fetched cannot be taken; the configuration stays as it is."""


def main(arguments: Sequence[str]) -> int:
    """Run as the command line says; 0 if all went well."""
    settings = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    if "--defaults" in arguments[1:]:
        if not (Path(settings["current"]) / INDEX).exists():
            install(settings, defaults(settings))
        return 0
    if "--once" in arguments[1:]:
        return 0 if look(settings) else 1
    never = threading.Event()
    while not never.wait(settings["interval"] if look(settings) else settings["interval"] / 2):
        pass
    return 0


def look(settings: Mapping[str, Any]) -> bool:
    """Fetch the configuration, and bring a newer one into effect; whether that went well."""
    try:
        files = fetch(settings)
        if install(settings, files):
            run(settings["reload"])
            say("took a newer configuration: " + ", ".join(sorted(files)))
    except (Refused, OSError, ValueError, subprocess.SubprocessError) as error:
        say("kept the configuration: " + reason(error))
        return False
    return True


def fetch(settings: Mapping[str, Any]) -> Files:
    """The files as they are there now. Raises `Refused` and what programs raise."""
    if settings["source"] == "etcd":
        files = from_etcd(settings["etcd"])
    else:
        files = from_git(settings["git"], Path(settings["state"]))
    if INDEX not in files:
        raise Refused("there is no " + INDEX)
    return files


def defaults(settings: Mapping[str, Any]) -> Files:
    """A version that refers to the machine's own files."""
    parts = ("service", "inputs", "output")
    lines = ["@INCLUDE {}/fluent-bit-{}.conf\n".format(settings["defaults"], p) for p in parts]
    return {INDEX: "".join(lines).encode()}


def install(settings: Mapping[str, Any], files: Files) -> bool:
    """Make those files the current version; False if they are so already."""
    current = Path(settings["current"])
    versions = current.parent / "versions"
    target = versions / digest(files)
    if target.is_dir() and current.is_symlink() and current.resolve() == target.resolve():
        return False
    versions.mkdir(mode=0o700, exist_ok=True)
    if not target.is_dir():
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=str(versions)))
        write(fresh, files)
        fresh.rename(target)
    link = versions / ".current"
    if link.is_symlink():
        link.unlink()
    link.symlink_to(target)
    link.replace(current)
    for old in versions.iterdir():
        if old != target:
            shutil.rmtree(str(old), ignore_errors=True)
    return True


def write(folder: Path, files: Files) -> None:
    """Write the files below a folder that only root may read."""
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(0o600)


def digest(files: Files) -> str:
    """A name for exactly those files."""
    found = hashlib.sha256()
    for name in sorted(files):
        for part in (name.encode(), files[name]):
            found.update(str(len(part)).encode() + b":" + part)
    return found.hexdigest()[:24]


def inside(name: str) -> str:
    """A relative path below a folder, and not above it. Raises `Refused` for another one."""
    place = PurePosixPath(name.lstrip("/"))
    if not place.parts or ".." in place.parts:
        raise Refused("not a path of a file: " + repr(name))
    return str(place)


# -- etcd


def from_etcd(etcd: Mapping[str, Any]) -> Files:
    """The values below a prefix; the rest of each key is a file's path."""
    words = [etcd.get("etcdctl", "/usr/bin/etcdctl")]
    words += ["--endpoints=" + ",".join(etcd["endpoints"]), "--cacert=" + etcd["ca"]]
    if "certificate" in etcd:
        words += ["--cert=" + etcd["certificate"], "--key=" + etcd["key"]]
    words += ["--write-out=json", "get", "--prefix", "--", etcd["prefix"]]
    secret = {"ETCDCTL_USER": etcd["user"]} if "user" in etcd else {}
    found = json.loads(run(words, ETCDCTL_API="3", **secret))
    files = {}
    for pair in found.get("kvs", ()):
        name = base64.b64decode(pair["key"]).decode()[len(etcd["prefix"]) :]
        files[inside(name)] = base64.b64decode(pair.get("value", ""))
    return files


# -- git


def from_git(git: Mapping[str, Any], state: Path) -> Files:
    """The files of a folder at a branch's or tag's newest commit, its signature checked."""
    repository = str(state / "repository")
    run(["git", "init", "--quiet", "--bare", repository])
    with tempfile.TemporaryDirectory(dir=str(state)) as folder:
        ssh = {"GIT_SSH_COMMAND": ssh_command(git, Path(folder))} if "ssh_key" in git else {}
        words = ["fetch", "--quiet", "--no-tags", "--depth=1", git["repo"], git["ref"]]
        run(["git", "--git-dir", repository, *words], GIT_TERMINAL_PROMPT="0", **ssh)
        verify(git["trusted_keys"], repository, Path(folder))
    return read_commit(repository, git["path"].strip("/"))


def read_commit(repository: str, below: str) -> Files:
    """The files of a folder as the fetched commit has them; links are left out."""
    tree = "FETCH_HEAD^{commit}:" + below if below else "FETCH_HEAD^{commit}"
    git = ["git", "--git-dir", repository]
    files = {}
    for line in run([*git, "ls-tree", "-r", "-z", tree]).split(b"\0"):
        kind, _, name = line.decode().partition("\t")
        if kind.startswith("100"):
            files[inside(name)] = run([*git, "cat-file", "blob", kind.split()[2]])
    return files


def verify(keys: Sequence[str], repository: str, folder: Path) -> None:
    """Raise `Refused` if keys are given, and none of them signed the fetched commit."""
    if not keys:
        return
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    gpg = {"GNUPGHOME": str(home)}
    try:
        for key in keys:
            run(["gpg", "--batch", "--quiet", "--no-autostart", "--import", key], **gpg)
        run(["git", "--git-dir", repository, "verify-commit", "FETCH_HEAD^{commit}"], **gpg)
    except subprocess.CalledProcessError as error:
        raise Refused("no trusted key signed the commit: " + reason(error)) from None


def ssh_command(git: Mapping[str, Any], folder: Path) -> str:
    """The SSH client, with the key given, that talks to the known server alone."""
    known = folder / "known_hosts"
    known.write_text(known_hosts(git["repo"], git["host_key"]), encoding="utf-8")
    options = {
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(known),
        "GlobalKnownHostsFile": "/dev/null",
    }
    words = ["ssh", "-i", git["ssh_key"]]
    words += [word for name, value in options.items() for word in ("-o", name + "=" + value)]
    words += ["-l", git["ssh_user"]] if git["ssh_user"] else []
    return " ".join(words)


def known_hosts(repo: str, host_key: str) -> str:
    """Lines for ssh's file of known hosts: the key itself, or those of that fingerprint."""
    host, port = server(repo)
    name = host if port == "22" else f"[{host}]:{port}"
    if not host_key.startswith("SHA256:"):
        return f"{name} {host_key}\n"
    lines = run(["ssh-keyscan", "-p", port, "--", host]).decode().splitlines()
    keys = [line.split()[1:3] for line in lines if line and not line.startswith("#")]
    matching = ["{} {} {}\n".format(name, *key) for key in keys if fingerprint(key[1]) == host_key]
    if not matching:
        raise Refused(f"no host key of {host} has the fingerprint {host_key}")
    return "".join(matching)


def fingerprint(key: str) -> str:
    """The fingerprint of a public key in base64, as OpenSSH writes it."""
    value = hashlib.sha256(base64.b64decode(key)).digest()
    return "SHA256:" + base64.b64encode(value).decode().rstrip("=")


def server(repo: str) -> list[str]:
    """Host and port of `ssh://user@host:port/path` or `user@host:path`."""
    if "://" not in repo:
        return [repo.partition(":")[0].rpartition("@")[2], "22"]
    place = repo.partition("://")[2].partition("/")[0].rpartition("@")[2]
    host, _, port = place.partition(":")
    return [host, port or "22"]


# -- running


def run(words: Sequence[str], **environment: str) -> bytes:
    """A program's output. Raises `CalledProcessError`; secrets go by the environment only."""
    done = subprocess.run(
        list(words),
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        env={**os.environ, **environment},
    )
    return done.stdout


def reason(error: BaseException) -> str:
    """An error in one line, without the command line that it came from."""
    if isinstance(error, subprocess.CalledProcessError):
        words = (error.stderr or b"").decode(errors="replace").split()
        return "{} ended with {}: {}".format(error.cmd[0], error.returncode, " ".join(words))
    if isinstance(error, subprocess.TimeoutExpired):
        return f"{error.cmd[0]} took more than {SECONDS} seconds"
    return str(error)


def say(text: str) -> None:
    """A line for the journal."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
