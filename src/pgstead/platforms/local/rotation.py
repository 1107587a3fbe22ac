"""Logs are kept short: a listener of the supervisor cuts those that have grown too long.

Servers have their logs open for appending and know nothing of it, so that a log is copied
and then emptied. What is written between the two is lost, a few lines at most.

The listener acts on a beat of the supervisor's (supervisord.org, event listeners), read from
a pipe: it ends by itself when the supervisor is gone, and the next one brings its own.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from pgstead.platforms.local.places import Places

NAME = "rotate"
MAX_BYTES = 10 * 1024 * 1024
KEPT = 3
"""How many older logs are kept: `etcd.log.1` is the newest of them."""

BEAT = "TICK_5"
"""The supervisor tells every five seconds."""


def listener(value: Callable[[str | Path], str]) -> str:
    """Its part of the supervisor's configuration; `value` writes a value as it is read there."""
    return f"""\
[eventlistener:{NAME}]
command = /bin/sh {value(NAME)}
events = {BEAT}
autorestart = true
startretries = 1000000000
stdout_logfile = NONE
stderr_logfile = NONE
"""


def script(places: Places, max_bytes: int = MAX_BYTES) -> str:
    """What it runs, a line on standard input per beat and an answer on standard output.

    The copy has its final name only once it is whole; without room for it the log stays.
    """
    older = " ".join(str(number) for number in range(KEPT - 1, 0, -1))
    return f"""\
#!/bin/sh
cd {shlex.quote(str(places.machines))} || exit 1
PATH=/usr/bin:/bin
rotate() {{
    cp "$1" "$1.new" 2>/dev/null || {{ rm -f "$1.new"; return; }}
    for number in {older}; do
        [ ! -e "$1.$number" ] || mv -f "$1.$number" "$1.$((number + 1))"
    done
    mv -f "$1.new" "$1.1" && : >"$1"
}}
echo READY
while read -r header; do
    head -c "${{header##*len:}}" >/dev/null
    find ./*/log -maxdepth 1 -name '*.log' -type f -size +{max_bytes}c 2>/dev/null |
        while read -r log; do rotate "$log"; done
    printf 'RESULT 2\\nOKREADY\\n'
done
"""
