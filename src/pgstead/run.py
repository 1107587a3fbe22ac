"""The one gate to other programs: argument lists only, and errors that can be pasted.

Secrets go in by `stdin` or by files, never as arguments: arguments are shown in errors,
and every user of the machine can read them while the program runs.
"""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pgstead.errors import CommandFailed, MissingSoftware

TAIL_LINES = 15
"""How many of the last lines of standard error an error message quotes."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended: its exit code (negative: the signal) and what it wrote."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str | Path],
    *,
    user: str | None = None,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: IO[bytes] | None = None,
    timeout: float = 60.0,
    check: bool = True,
) -> Finished:
    """Run a program to its end.

    Args:
        argv: The program and its arguments.
        user: Become this user first; needs root.
        stdin: What the program reads on standard input; nothing by default.
        env: The whole environment; by default that of this process.
        cwd: The folder to run in.
        output: A file that takes standard output and standard error. It outlives us: the
            program does not die of a closed pipe when pgstead is killed.
        timeout: Seconds after which the program is killed.
        check: Raise when the exit code is not 0.

    Raises:
        MissingSoftware: There is no such program.
        CommandFailed: It ended with an error, or did not end in time.
    """
    words = tuple(str(word) for word in argv)
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=output or subprocess.PIPE,
            stderr=output or subprocess.PIPE,
            env=None if env is None else dict(env),
            cwd=cwd,
            timeout=timeout,
            check=False,
            encoding="utf-8",
            errors="replace",
            # Ctrl-C on the terminal is for pgstead alone, which lets the program finish.
            start_new_session=True,
            **identity(user),
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(
            f"{shlex.join(words)} did not end within {timeout:g} s",
            hint="run it by hand to see what it waits for",
        ) from error
    except OSError as error:
        raise _not_started(words, error) from error
    finished = Finished(words, done.returncode, done.stdout or "", done.stderr or "")
    if check and finished.code != 0:
        raise failure(finished)
    return finished


def identity(user: str | None) -> dict[str, Any]:
    """The arguments that make `subprocess` become that user, without any group of ours."""
    if user is None:
        return {}
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise MissingSoftware(f"there is no user {user!r} on this machine") from None
    if entry.pw_uid == os.geteuid():
        return {}
    groups = os.getgrouplist(user, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}


def failure(finished: Finished) -> CommandFailed:
    """The error for a program that ended badly: a command to paste, and why it says it failed."""
    why = tail(finished.stderr) or tail(finished.stdout) or "it wrote nothing"
    ended = f"exit code {finished.code}" if finished.code >= 0 else f"signal {-finished.code}"
    return CommandFailed(
        f"{shlex.join(finished.argv)} failed ({ended}): {why}",
        hint="the command can be run again by hand",
    )


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of `text`, without blank ends."""
    return "\n".join(text.strip().splitlines()[-lines:])


def _not_started(words: tuple[str, ...], error: OSError) -> MissingSoftware | CommandFailed:
    if isinstance(error, FileNotFoundError) and error.filename == words[0]:
        return MissingSoftware(
            f"the program {words[0]} is not installed",
            hint="`pgstead doctor` lists what is missing and how to install it",
        )
    return CommandFailed(f"{shlex.join(words)} could not be started: {error.strerror or error}")
