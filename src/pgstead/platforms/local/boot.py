"""Start a stack with the system: a systemd unit that starts its supervisor."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pgstead.errors import CommandFailed, PlatformError
from pgstead.platforms.local.files import explained, write_file
from pgstead.platforms.local.places import Places
from pgstead.platforms.local.supervisor import Supervisor
from pgstead.run import run

_SYSTEM_UNITS = Path("/etc/systemd/system")
_BOOTED_WITH_SYSTEMD = Path("/run/systemd/system")


class BootUnit:
    """The unit of one stack: a system unit when pgstead runs as root, else one of the user's."""

    def __init__(self, places: Places, supervisor: Supervisor) -> None:
        self._places = places
        self._supervisor = supervisor
        self.name = f"pgstead-{places.root.name}.service"

    @property
    def file(self) -> Path:
        """Where the unit lies."""
        if self._places.account.switch:
            return _SYSTEM_UNITS / self.name
        base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
        return Path(base).expanduser() / "systemd" / "user" / self.name

    def enable(self) -> None:
        """Write and enable it. Raises `PlatformError` where systemd does not run."""
        if not _BOOTED_WITH_SYSTEMD.is_dir() or shutil.which("systemctl") is None:
            raise PlatformError(
                "start_at_boot needs systemd, which does not run on this machine",
                hint="set platform.start_at_boot to false, and run `pgstead start` after a boot",
            )
        if write_file(self.file, self.text(), 0o644):
            self._systemctl("daemon-reload")
        self._systemctl("enable", self.name)
        if not self._places.account.switch:
            # Else the user's units start with the user's first session only.
            run(["loginctl", "enable-linger"], check=False)

    def disable(self) -> None:
        """Disable and remove it; one that is not there is no error."""
        if not self.file.exists():
            return
        self._systemctl("disable", self.name, check=False)
        with explained(self.file):
            self.file.unlink(missing_ok=True)
        self._systemctl("daemon-reload", check=False)

    def text(self) -> str:
        """The unit."""
        account = self._places.account
        who = f"User={account.name}\n" if account.switch else ""
        target = "multi-user.target" if account.switch else "default.target"
        # Folders for sockets below /tmp do not outlive a boot.
        folders = [
            "/usr/bin/xargs",
            "-r",
            "-d",
            "\\n",
            "-a",
            str(self._runtime_list),
            "mkdir",
            "-p",
        ]
        return f"""\
[Unit]
Description=PostgreSQL stack {self._places.root.name} of pgstead
After=network.target

[Service]
Type=forking
{who}UMask=0077
WorkingDirectory={_path(self._places.supervisor)}
ExecStartPre={_words(folders)}
ExecStart={_words(["/usr/bin/env", *self._supervisor.command])}
PIDFile={_path(self._places.supervisor / "supervisord.pid")}
KillMode=mixed
TimeoutStopSec=120

[Install]
WantedBy={target}
"""

    def note_folders(self, machines: list[str]) -> None:
        """Note the folders for sockets that have to be made after a boot."""
        paths = [self._places.machine(name).runtime for name in machines]
        short = [str(path) for path in paths if path.parent == self._places.short]
        with self._places.account.acting():
            text = "".join(f"{path}\n" for path in [str(self._places.short), *short] if short)
            write_file(self._runtime_list, text)

    @property
    def _runtime_list(self) -> Path:
        return self._places.supervisor / "runtime-folders"

    def _systemctl(self, *words: str, check: bool = True) -> None:
        scope = [] if self._places.account.switch else ["--user"]
        try:
            run(["systemctl", *scope, *words], check=check)
        except CommandFailed as error:
            raise PlatformError(error.message, hint=error.hint) from error


def _words(words: list[str]) -> str:
    """A command as systemd.service(5) reads it, each word in quotes."""
    escaped = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    quoted = (f'"{word}"' for word in escaped)
    return " ".join(quoted).replace("%", "%%").replace("$", "$$")


def _path(path: Path) -> str:
    return str(path).replace("%", "%%")
