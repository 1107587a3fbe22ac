"""From any error to a message, a hint and an exit code: the one place where that happens."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from pgstead.cli.signals import INTERRUPTED
from pgstead.errors import Interrupted, PgsteadError
from pgstead.redaction import redact

BAD = 2
"""The exit code for bad arguments, and for a bad stack file."""

DEBUG = "PGSTEAD_DEBUG"
"""Set by `--debug`: the file that keeps a traceback."""


def guarded(call: Callable[[], object]) -> int:
    """The exit code of `call`, with whatever went wrong told on standard error."""
    try:
        result = call()
    except PgsteadError as error:
        return _tell(error, _message(error), error.hint, error.exit_code)
    except typer.Exit as error:
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt) as error:
        return _stopped(error)
    except Exception as error:  # noqa: BLE001 - no traceback ever reaches a user
        return _arguments(error) if hasattr(error, "format_message") else _unexpected(error)
    if result == INTERRUPTED:  # what typer makes of Ctrl-C
        return _stopped(None)
    return result if isinstance(result, int) else 0


def _stopped(error: BaseException | None) -> int:
    return _tell(error, "stopped", "run the same command again to go on", INTERRUPTED)


def _message(error: PgsteadError) -> str:
    """The message, after the resource whose change failed (`engine.apply` notes it)."""
    notes = () if isinstance(error, Interrupted) else getattr(error, "__notes__", ())
    return ": ".join([*notes, error.message])


def _arguments(error: Any) -> int:
    """A mistake on the command line, as typer's own copy of click tells it."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "pgstead"
    return _tell(error, error.format_message(), f"`{command} --help` tells what it takes", BAD)


def _unexpected(error: Exception) -> int:
    if isinstance(error, BrokenPipeError):
        sys.stdout = None  # nobody reads any more
        return 1
    if isinstance(error, OSError):
        message = f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
        return _tell(error, message, None, 1)
    message = f"internal error: {type(error).__name__}: {error}"
    hint = "this is a defect of pgstead; run again with --debug and report the log file"
    return _tell(error, message, hint, 1)


def _tell(error: BaseException | None, message: str, hint: str | None, code: int) -> int:
    from rich.console import Console  # noqa: PLC0415 - not needed where nothing fails
    from rich.text import Text  # noqa: PLC0415

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(Text.assemble(("error: ", "bold red"), redact(message)))
    if hint:
        console.print(Text.assemble(("hint: ", "bold cyan"), redact(hint)))
    log = os.environ.get(DEBUG)
    if log and error is not None:
        _keep(error, Path(log))
        console.print(f"the traceback is in {log}")
    return code


def _keep(error: BaseException, log: Path) -> None:
    text = redact("".join(traceback.format_exception(error)))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.write(text + "\n")
