"""Reach by ssh: the OpenSSH client, with a host key that is known before the first contact."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import stat
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pgstead.errors import CommandFailed, PlatformError
from pgstead.reach.base import Finished
from pgstead.reach.guest import (
    PART,
    SAY_LATE,
    SETTLE,
    GuestReach,
    bounded,
    is_late,
    late,
    script,
    write_failed,
)
from pgstead.run import run, tail

CONNECT_SECONDS = 15
"""For the connection alone; a guest that is emulated in software takes some seconds."""

PERSIST_SECONDS = 60
"""How long an idle connection is kept for the next command."""

FAILED = 255
"""ssh's own exit code for anything that went wrong before or beside the command."""

WRITE_SECONDS = 120.0

SOCKET_BYTES = 107 - 17
"""The longest path of the control socket: ssh binds a name that is 17 bytes longer first."""


@dataclass(frozen=True, slots=True)
class SshTarget:
    """A guest, and how to get there.

    `folder` keeps the identity and the host key (see `write_keys`); `sockets` is a short
    folder of the user's own for the connection that is kept open.
    """

    machine: str
    address: str
    user: str
    folder: Path
    sockets: Path
    port: int = 22

    @property
    def identity(self) -> Path:
        """The private key."""
        return self.folder / "id"

    @property
    def known_hosts(self) -> Path:
        """The host's public key, by the name of the machine."""
        return self.folder / f"{self.machine}.known_hosts"

    @property
    def control(self) -> Path:
        """The socket of the connection that is kept open."""
        who = f"{self.folder}/{self.machine}/{self.user}@{self.address}:{self.port}"
        return self.sockets / hashlib.sha256(who.encode()).hexdigest()[:16]


def write_keys(target: SshTarget, *, private_key: str, host_key: str) -> None:
    """Lay down what a connection needs, for its owner's eyes alone.

    `private_key` is in OpenSSH's or PEM form, `host_key` a public key's line: type and base64.
    """
    target.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(target.identity, private_key.rstrip("\n") + "\n")
    kind, key, *_ = host_key.split()
    _write(target.known_hosts, f"{target.machine} {kind} {key}\n")


def ssh_reach(target: SshTarget, text: Callable[[str], str] = str) -> GuestReach:
    """Reach into the guest by ssh; `text` replaces tokens."""
    return GuestReach(SshTransport(target), text)


@dataclass(frozen=True)
class SshTransport:
    """Implements `reach.guest.Transport`; becomes root by `sudo -n`."""

    target: SshTarget

    @property
    def machine(self) -> str:
        """The name of the machine."""
        return self.target.machine

    def execute(self, argv: Sequence[str], *, timeout: float) -> Finished:
        """Run a command as root; see `reach.guest.Transport.execute`."""
        return self._root(argv, timeout=timeout)

    def write(self, path: str, content: str, *, owner: str, mode: int) -> None:
        """Write a file; its content goes through standard input."""
        words = (path, f"{owner}:", f"{mode:o}", str(len(content.encode())))
        done = self._root(script(_WRITE, *words), stdin=content, timeout=WRITE_SECONDS)
        if done.code != 0:
            raise write_failed(self.machine, path, done)

    def close(self) -> None:
        """End the connection that is kept open, if there is one."""
        if self.target.control.exists():
            run([*self._client(), "-O", "exit", self.target.machine], check=False, timeout=10.0)

    def _root(self, argv: Sequence[str], *, timeout: float, stdin: str = "") -> Finished:
        command = remote_command(argv, timeout, root=self.target.user == "root")
        _own_folder(self.target.sockets)
        words = [*self._client(), self.target.machine, command]
        try:
            done = run(words, stdin=stdin, timeout=timeout + 2 * CONNECT_SECONDS, check=False)
        except CommandFailed as error:
            raise late(self.machine, argv, timeout) from error
        if done.code == FAILED:
            raise connection_error(self.target, done.stderr)
        if is_late(done.code, done.stderr):
            raise late(self.machine, argv, timeout)
        if _SUDO.search(done.stderr) and done.code == 1:
            raise _no_root(self.target, done.stderr)
        return Finished(done.code, done.stdout, done.stderr)

    def _client(self) -> list[str]:
        return ["ssh", "-T", *options(self.target)]


def options(target: SshTarget) -> list[str]:
    """The client's words before the command, with the address as an option."""
    settings = {
        "HostName": target.address,
        "Port": target.port,
        "User": target.user,
        "HostKeyAlias": target.machine,
        "UserKnownHostsFile": _path(target.known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "IdentityFile": _path(target.identity),
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "BatchMode": "yes",
        "ConnectTimeout": CONNECT_SECONDS,
        "ServerAliveInterval": 5,
        "ServerAliveCountMax": 6,
        "ForwardAgent": "no",
        "LogLevel": "ERROR",
        **_sharing(target),
    }
    # -F: the user's own settings decide nothing here.
    return ["-F", "none", *(f"-o{name}={value}" for name, value in settings.items())]


def remote_command(argv: Sequence[str], seconds: float, *, root: bool = False) -> str:
    """What the guest's shell is told: the command, as root, for that many seconds at most.

    Exit code 255 becomes 254, so that 255 is always ssh's own; a command that is ended says so.
    """
    become = [] if root else ["sudo", "-n", "--"]
    return (
        f"{shlex.join([*become, *bounded(argv, seconds)])}; {SAY_LATE}; "
        f"[ $code = {FAILED} ] && code=254; exit $code"
    )


def connection_error(target: SshTarget, said: str) -> PlatformError:
    """The error for what ssh said when it could not do its work."""
    where = f"machine {target.machine} ({target.user}@{target.address}, port {target.port})"
    for pattern, what, hint in _REASONS:
        if re.search(pattern, said):
            return PlatformError(f"{where} {what}", hint=hint.format(target=target))
    return PlatformError(
        f"{where} cannot be reached by ssh: {tail(said, 2) or 'ssh says nothing'}",
        hint="look at the machine's console, and at the network between here and there",
    )


_SUDO = re.compile(r"^sudo: (a password is required|.*not allowed|.*sudoers)", re.MULTILINE)

_REASONS = (
    (
        r"HOST IDENTIFICATION HAS CHANGED|Host key verification failed|host key is known",
        "has another host key than the one that pgstead made for it",
        "another machine may have its address; if it was made anew outside of pgstead, recreate it",
    ),
    (
        r"Permission denied \(|Too many authentication failures",
        "does not accept the key",
        "user {target.user} has to have the key's public half in ~/.ssh/authorized_keys there",
    ),
    (
        r"No such identity|error in libcrypto|invalid format|UNPROTECTED PRIVATE KEY",
        "cannot be reached: the identity file cannot be used",
        "look at {target.folder}/id; it must be readable for its owner alone",
    ),
    (
        r"Could not resolve hostname",
        "has a name that cannot be resolved",
        "give its address",
    ),
)

_WRITE = f'{PART}trap \'rm -f -- "$part"\' EXIT\nowner=$2 mode=$3 size=$4\ncat > "$part"\n{SETTLE}'


def _sharing(target: SshTarget) -> dict[str, object]:
    """One connection for many commands, where its socket's path is short enough."""
    if len(os.fsencode(target.control)) > SOCKET_BYTES:
        return {"ControlMaster": "no", "ControlPath": "none"}
    return {
        "ControlMaster": "auto",
        "ControlPath": _path(target.control),
        "ControlPersist": PERSIST_SECONDS,
    }


def _path(path: Path) -> str:
    """A path as ssh_config(5) takes it: quoted, and without its percent tokens."""
    return '"{}"'.format(str(path).replace("%", "%%"))


def _own_folder(folder: Path) -> None:
    """Make the folder; who owns it owns the connection, so it must not be somebody else's."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = folder.stat(follow_symlinks=False)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077 or not stat.S_ISDIR(status.st_mode):
        raise PlatformError(
            f"{folder} belongs to somebody else, or others may enter it", hint="remove it"
        )


def _no_root(target: SshTarget, said: str) -> PlatformError:
    return PlatformError(
        f"user {target.user} of machine {target.machine} may not become root: {tail(said, 1)}",
        hint="it needs `NOPASSWD: ALL` in the machine's sudoers",
    )


def _write(path: Path, text: str) -> None:
    """Write a file for its owner's eyes alone, whole or not at all."""
    descriptor, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(part).replace(path)
