"""`postgres_params`: PostgreSQL's command line, read into parameters."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from pgstead.modules.parts.postgresql import MACHINE_PARAMETERS, RESTART_PARAMETERS

__all__ = ["needs_restart", "parse_parameters"]

MANAGED = MACHINE_PARAMETERS | {"password_encryption"}


_NAME = re.compile(r"[a-z_][a-z0-9_.$]*")


def parse_parameters(text: str) -> dict[str, str]:
    """Parameters of a text like `-c 'shared_buffers=2GB' --work-mem=4MB`, by name.

    The last of several values counts, as it does for PostgreSQL. Raises `ValueError` for
    another option, and for a parameter that the module manages.
    """
    parameters: dict[str, str] = {}
    for setting in _settings(text):
        name, equals, value = setting.partition("=")
        name = name.strip().replace("-", "_").lower()
        if not equals or not _NAME.fullmatch(name):
            raise ValueError(f"{setting!r} is not of the form name=value")
        if name in MANAGED:
            raise ValueError(f"{name} is managed by the module: leave it out")
        parameters[name] = value
    return parameters


def needs_restart(name: str) -> bool:
    """Whether only a restart of PostgreSQL is sure to bring the parameter into effect.

    An extension's parameters, `extension.name`, may be of either kind.
    """
    return name in RESTART_PARAMETERS or "." in name


def _settings(text: str) -> Iterator[str]:
    try:
        words = iter(shlex.split(text))
    except ValueError as error:
        raise ValueError(str(error)) from None
    for word in words:
        if word == "-c":
            yield next(words, "")
        elif word.startswith(("-c", "--")):
            yield word[2:]
        else:
            raise ValueError(f"{word!r} is not understood; write -c name=value or --name=value")
