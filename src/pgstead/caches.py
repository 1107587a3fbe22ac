"""Where what can be made again is kept, for the user who runs pgstead."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """The folder, which may not be there yet."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "pgstead"


def remembered(file: Path) -> dict[str, Any]:
    """The values in a file of that folder; none if it is not there, or is not one."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(file: Path, values: Mapping[str, Any]) -> None:
    """Keep values in such a file. Where that cannot be, they are found out again next time."""
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(dict(values)), encoding="utf-8")
        part.replace(file)
