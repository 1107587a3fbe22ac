"""Into machines by ssh, with a key of the stack's own or one that the user gives."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from pgstead.errors import PlatformError
from pgstead.platforms.cloud_init import conventional_text
from pgstead.platforms.guests.keys import Keys
from pgstead.reach.base import Reach

SSH = "ssh"
"""The folder of keys, in the stack's own."""

SshWays = Callable[[str, str, str], Reach]
"""Makes the way into a machine: by its name, address and first user."""


def ssh_ways(keys: Keys, folder: Path, private_key: Path | None) -> SshWays:
    """The ways into machines whose host keys are the stack's. Raises `PlatformError`."""
    own = _read(private_key) if private_key is not None else None

    def enter(machine: str, address: str, user: str) -> Reach:
        from pgstead.reach.ssh import SshTarget, ssh_reach, write_keys  # noqa: PLC0415

        target = SshTarget(machine, address, user, folder / SSH, _sockets())
        private = own if own is not None else keys.admin().private
        write_keys(target, private_key=private, host_key=keys.host(machine).public)
        return ssh_reach(target, conventional_text)

    return enter


def forget(folder: Path) -> None:
    """Remove what connections to the stack's machines needed."""
    shutil.rmtree(folder / SSH, ignore_errors=True)


def _read(private_key: Path) -> str:
    try:
        return private_key.read_text(encoding="utf-8")
    except OSError as error:
        raise PlatformError(
            f"the private key {private_key} cannot be read: {error.strerror}",
            hint="see platform.ssh_key",
        ) from error


def _sockets() -> Path:
    """A short folder of the user's own: a socket's path has 107 bytes at most."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) if runtime else Path(tempfile.gettempdir())
    return base / f"pgstead-ssh-{os.geteuid()}"
