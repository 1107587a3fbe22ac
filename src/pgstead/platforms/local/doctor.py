"""What this machine lacks for the local platform, and how it is put right."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pgstead.caches import cache_folder
from pgstead.errors import MissingSoftware, PgsteadError, PlatformError
from pgstead.platforms.finding import Finding, program_finding
from pgstead.platforms.local import sockets
from pgstead.platforms.local.account import Account, service_account
from pgstead.platforms.local.binaries import SOFTWARE, Binaries
from pgstead.platforms.local.packages import DOWNLOAD_SECONDS, unpack
from pgstead.platforms.local.places import stack_places
from pgstead.run import run

LEAST_FREE = 1024**3
"""Bytes free below which a stack is not started light-heartedly."""

_NEEDED = ("postgresql", "etcd", "etcdctl", "haproxy", "patroni")
_TRIED_ADDRESS = "127.97.101.3"


def doctor(binaries: Mapping[str, str] | None = None, user: str | None = None) -> list[Finding]:
    """Everything that the local platform needs, what is fine included.

    `binaries` and `user` are a stack file's `platform.binaries` and `platform.user`.
    """
    try:
        account = service_account(user)
    except PlatformError as error:
        return [Finding("user", False, error.message, hint=error.hint)]
    programs = Binaries(binaries or {}, cache_folder(), account.user)
    return [
        Finding("user", True, f"servers run as {account.name}"),
        *(_software(programs, name) for name in _NEEDED),
        program_finding("flock", "util-linux"),
        _interpreter(account),
        _free_space(stack_places(None, "stack", "id", account).root),
        _loopback(),
    ]


def fix(findings: Sequence[Finding], say: Callable[[str], None]) -> None:
    """Put right what packages put right; `say` is told of each thing before it is done.

    As root the packages are installed, else they are unpacked into the user's cache.
    """
    packages = sorted({one.package for one in findings if one.package and not one.ok})
    if not packages:
        return
    if os.geteuid() != 0:
        cache = cache_folder()
        say(f"downloading {', '.join(packages)} and unpacking them into {cache / 'packages'}")
        unpack(packages, cache)
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        say(f"apt-get {' '.join(words)}")
        run(["apt-get", *words], env=environment, timeout=DOWNLOAD_SECONDS)


def _software(binaries: Binaries, name: str) -> Finding:
    software = SOFTWARE[name]
    # Debian's own Patroni is too old: it comes with pgstead, from PyPI.
    package = None if name == "patroni" else software.package
    try:
        found = binaries.require(name)
    except MissingSoftware as error:
        return Finding(name, False, error.message, package=package, hint=error.hint)
    return Finding(name, True, "found", found.version, str(found.path), package)


def _interpreter(account: Account) -> Finding:
    """Patroni and the supervisor run in this Python, as the servers' user."""
    check = "import patroni, supervisor"
    path = sys.executable
    try:
        run([path, "-c", check], user=account.user, cwd=Path("/"), env={"LANG": "C.UTF-8"})
    except PgsteadError as error:
        barrier = account.barrier(Path(path), Path(path).resolve())
        why = f"it may not enter {barrier}" if barrier else error.message
        hint = f"install pgstead elsewhere, e.g. below /opt, or `chmod o+x {barrier}`"
        found = f"user {account.name} cannot run {path}: {why}"
        return Finding("python", False, found, path=path, hint=hint if barrier else error.hint)
    return Finding("python", True, "runs as the servers' user", sys.version.split()[0], path)


def _free_space(root: Path) -> Finding:
    there = next(one for one in (root, *root.parents) if one.exists())
    free = shutil.disk_usage(there).free
    words = f"{free / 1024**3:.1f} GiB free"
    hint = (
        None if free >= LEAST_FREE else "free some space, or name another place in platform.folder"
    )
    return Finding("disk", free >= LEAST_FREE, words, path=str(there), hint=hint)


def _loopback() -> Finding:
    if sockets.can_bind(_TRIED_ADDRESS, 0):
        return Finding("loopback addresses", True, "127.0.0.0/8 can be used")
    return Finding(
        "loopback addresses",
        False,
        f"a server cannot listen on {_TRIED_ADDRESS}",
        hint="all of 127.0.0.0/8 has to belong to the loopback interface, as it does on Linux",
    )
