"""What every reach into a Linux guest shares: the commands, whatever carries them there."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pgstead.errors import PlatformError
from pgstead.machine import File
from pgstead.reach.base import Finished
from pgstead.run import tail
from pgstead.waiting import pause

FOLLOW_SECONDS = 1.0
"""How often a log that is followed is asked for new lines."""

GRACE = 5
"""Seconds between a guest's command being asked to stop and being killed."""

TIMED_OUT = 124
"""The exit code of timeout(1), which a command of its own may have too..."""

LATE = "pgstead-late"
"""...so this is on standard error as well, if it was `SAY_LATE` that followed the command."""

SAY_LATE = f"code=$?; [ $code = {TIMED_OUT} ] && echo {LATE} >&2"
"""What a shell does after a bounded command; the exit code is in `$code` then."""

_CURSOR = "-- cursor: "
_NAME = re.compile(r"[A-Za-z0-9@_.:-]+")


class Transport(Protocol):
    """Carries commands into one guest, as root."""

    @property
    def machine(self) -> str:
        """The name of the machine, for messages."""

    def execute(self, argv: Sequence[str], *, timeout: float) -> Finished:
        """Run a command to its end; a failing one is an answer.

        `timeout` is in seconds. Raises `PlatformError` if the guest cannot be reached, or the
        command does not end in time.
        """

    def write(self, path: str, content: str, *, owner: str, mode: int) -> None:
        """Write a file whole or not at all. The content is in no command line.

        Raises `PlatformError` if it could not be written.
        """

    def close(self) -> None:
        """Let go of what is kept open between commands."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file of a guest: its text, its owner's name and its mode."""

    content: str
    owner: str
    mode: int


@dataclass(frozen=True)
class GuestReach:
    """Implements `reach.base.Reach` for a Linux guest with systemd; everything runs as root.

    `text` replaces tokens in what is pushed and run, as the platform lowers them.
    """

    transport: Transport
    text: Callable[[str], str] = str

    def push(self, file: File) -> None:
        """Write the file whole or not at all, with its owner and mode; folders are made."""
        content = self.text(file.content)
        self.transport.write(file.path, content, owner=file.owner, mode=file.mode)

    def run(self, argv: Sequence[str], *, timeout: float = 60.0) -> Finished:
        """Run a command, whose words may hold tokens, as root."""
        return self.transport.execute([self.text(word) for word in argv], timeout=timeout)

    def read(self, path: str) -> str | None:
        """The text of a file, or None where there is none."""
        seen = self.look([path])[path]
        return seen.content if seen else None

    def look(self, paths: Sequence[str], *, timeout: float = 60.0) -> Mapping[str, Seen | None]:
        """Text, owner and mode of many files, asked for at once; None where there is none."""
        if not paths:
            return {}
        done = self._must([*LOOK, *paths], timeout=timeout)
        lines = done.stdout.splitlines()
        if len(lines) != len(paths):
            raise self._odd(f"{len(lines)} files instead of {len(paths)}")
        return {path: _seen(line) for path, line in zip(paths, lines, strict=True)}

    def logs(self, service: str, *, follow: bool = False, lines: int = 100) -> Iterator[str]:
        """The last lines of a service's log, then new ones as they come.

        Raises `PlatformError` if there is no such service.
        """
        if not _NAME.fullmatch(service):
            raise PlatformError(f"{service!r} is no name of a service")
        found, cursor = self._journal(service, f"--lines={lines}")
        if not found:
            self._require_unit(service)
        yield from found
        while follow:
            pause(FOLLOW_SECONDS)
            since = f"--after-cursor={cursor}" if cursor else "--lines=all"
            found, new = self._journal(service, since)
            cursor = new or cursor
            yield from found

    def close(self) -> None:
        """Let go of the connection."""
        self.transport.close()

    def _journal(self, service: str, which: str) -> tuple[list[str], str | None]:
        """Lines of the journal, and where it ends."""
        unit = f"--unit={service}.service"
        words = ["journalctl", "--quiet", "--no-pager", "--output=short-iso", "--show-cursor"]
        written = self.transport.execute([*words, unit, which], timeout=60.0).stdout.splitlines()
        if written and written[-1].startswith(_CURSOR):
            return written[:-1], written[-1].removeprefix(_CURSOR)
        return written, None

    def _require_unit(self, service: str) -> None:
        unit = f"{service}.service"
        if self.transport.execute(["systemctl", "cat", "--", unit], timeout=60.0).code == 0:
            return
        words = ["systemctl", "list-units", "--type=service", "--state=running", "--plain"]
        listed = self.transport.execute([*words, "--no-legend"], timeout=60.0).stdout
        running = [line.split()[0].removesuffix(".service") for line in listed.splitlines()]
        raise PlatformError(
            f"machine {self.transport.machine} has no service {service!r}",
            hint=f"these run: {', '.join(running) or 'none'}",
        )

    def _must(self, argv: Sequence[str], *, timeout: float) -> Finished:
        done = self.transport.execute(argv, timeout=timeout)
        if done.code != 0:
            raise self._odd(tail(done.stderr) or f"exit code {done.code}")
        return done

    def _odd(self, why: str) -> PlatformError:
        return PlatformError(f"files of machine {self.transport.machine} cannot be read: {why}")


def bounded(argv: Sequence[str], seconds: float) -> list[str]:
    """The command, ended in the guest itself when its time is over: nothing is left running."""
    return ["timeout", f"--kill-after={GRACE}", f"{seconds:g}", *argv]


def is_late(code: int, stderr: str) -> bool:
    """Whether a bounded command, followed by `SAY_LATE`, was ended because its time was over."""
    return code == TIMED_OUT and LATE in stderr


def script(text: str, *words: str) -> list[str]:
    """A shell script with its words, which stand in `$1`, `$2` and so on."""
    return ["/bin/sh", "-c", text, "sh", *words]


def write_failed(machine: str, path: str, done: Finished) -> PlatformError:
    """The error for a file that could not be written."""
    why = tail(done.stderr, 3) or f"exit code {done.code}"
    return PlatformError(
        f"{path} could not be written on machine {machine}: {why}",
        hint="what was there before is still there",
    )


def late(machine: str, argv: Sequence[str], seconds: float) -> PlatformError:
    """The error for a command that did not end in time."""
    return PlatformError(
        f"on machine {machine}, {shlex.join(argv)} did not end within {seconds:g} s",
        hint="run it there by hand to see what it waits for",
    )


# The new file's name does not end like the old one's: servers that read all of a folder's
# *.yml or *.conf do not see it.
PART = """\
set -eu
umask 022
folder=$(dirname -- "$1")
mkdir -p -- "$folder"
umask 077
part=$(mktemp -- "$folder/.$(basename -- "$1").XXXXXXXX")
"""
"""Makes the file that becomes `$1`: `$part`, in the same folder, for root's eyes alone."""

SETTLE = """\
[ "$(stat -c %s -- "$part")" = "$size" ] || { echo "its content did not arrive whole" >&2; exit 1; }
chown -- "$owner" "$part"
chmod -- "$mode" "$part"
sync -- "$part"
mv -fT -- "$part" "$1"
"""
"""Makes `$part`, which must have `$size` bytes, the file `$1`."""

LOOK = script(
    """\
for path; do
  if [ -f "$path" ]; then
    printf '%s %s\\n' "$(stat -L -c '%a %U' -- "$path")" "$(base64 -w0 -- "$path")"
  else
    echo -
  fi
done
"""
)
"""Says mode, owner and text (as base64) of each file, a line for each; `-` where there is none."""


def _seen(line: str) -> Seen | None:
    if line == "-":
        return None
    mode, owner, *content = line.split(" ")
    text = base64.b64decode(content[0] if content else "").decode(errors="replace")
    return Seen(text, owner, int(mode, 8))
