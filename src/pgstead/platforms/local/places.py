"""Where things lie: a root per stack, a folder per machine, short folders for sockets."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pgstead.errors import PlatformError
from pgstead.platforms.local.account import Account

SOCKET_BYTES = 107
"""The longest path of a unix socket on Linux (unix(7), sun_path without its end)."""

SOCKET_NAME_BYTES = 40
"""Room kept for what a server puts below its runtime folder, e.g. postgresql/.s.PGSQL.5432."""

SERVICES = "services"
"""The folder of a machine that holds its services' start scripts: no machine is without."""

ROOT_OF_ROOT = Path("/var/lib/pgstead")


@dataclass(frozen=True, slots=True)
class MachinePlaces:
    """The places of one machine. `runtime` is its /run."""

    folder: Path
    runtime: Path

    def of(self, path: str) -> Path:
        """Where a path of a conventional machine lies, e.g. /etc/etcd/conf.yml."""
        inside = PurePosixPath(path)
        if not inside.is_absolute() or ".." in inside.parts:
            raise PlatformError(f"{path!r} is not an absolute path on a machine")
        if inside.is_relative_to("/run"):
            return self.runtime / inside.relative_to("/run")
        return self.folder / inside.relative_to("/")

    def log(self, service: str) -> Path:
        """The log of a service."""
        return self.folder / "log" / f"{service}.log"

    def lock(self, service: str) -> Path:
        """Held by a service as long as it lives."""
        return self.folder / "lock" / service

    def script(self, service: str) -> Path:
        """What starts a service."""
        return self.folder / SERVICES / service

    @property
    def card(self) -> Path:
        """What pgstead has to know of the machine besides its files."""
        return self.folder / "machine.json"


@dataclass(frozen=True, slots=True)
class Places:
    """The places of a stack. `short` holds sockets whose path would get too long below `root`."""

    root: Path
    short: Path
    account: Account

    @property
    def supervisor(self) -> Path:
        """The folder of the supervisor."""
        return self.root / "supervisor"

    @property
    def supervisor_socket(self) -> Path:
        """The socket on which the supervisor listens."""
        usual = self.supervisor / "supervisor.sock"
        # While it starts, supervisord binds a name that is longer: its process id is added.
        return usual if _fits(usual, 12) else self.short / "supervisor.sock"

    @property
    def machines(self) -> Path:
        """The folder that holds the machines' own."""
        return self.root / "machines"

    @property
    def kept(self) -> Path:
        """Data of machines that were removed."""
        return self.root / "kept"

    def machine(self, name: str) -> MachinePlaces:
        """The places of a machine."""
        folder = self.machines / name
        inside = folder / "run"
        return MachinePlaces(
            folder, inside if _fits(inside, SOCKET_NAME_BYTES) else self.short / name
        )


def stack_places(folder: str | None, name: str, stack_id: str, account: Account) -> Places:
    """The places of a stack; `folder` is where the user wants its root."""
    base = Path(folder).expanduser().absolute() if folder else _usual_base(account)
    root = base / f"{name}-{stack_id}"
    digest = hashlib.sha256(str(root).encode()).hexdigest()[:10]
    # /tmp and not XDG_RUNTIME_DIR, which goes away with the user's last session.
    short = Path("/tmp") / f"pgstead-{account.uid}" / digest  # noqa: S108 - ownership is checked
    return Places(root, short, account)


def _usual_base(account: Account) -> Path:
    if account.switch:
        return ROOT_OF_ROOT
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "pgstead"


def _fits(path: Path, more: int) -> bool:
    return len(os.fsencode(path)) + more <= SOCKET_BYTES
