"""The cluster on seven virtual machines: `pgstead up` beside the same made by hand, in turn.

Three members of etcd, three of Patroni, one HAProxy, with an emulated machine's timings. Both
count from their processes' start until a write of the application's role through HAProxy is
acknowledged. The script is given what `pgstead render` wrote, and does not pay for that.
"""

from __future__ import annotations

import json
import secrets
import shutil
from typing import Any

from booting import Ground, in_turn, run
from measures import Measure, note

from support.virtual import small_cluster

WHAT = "seven virtual machines"
SECONDS = 1200
PASSWORDS = ("superuser", "application", "etcd-root", "etcd-patroni")
"""Those that the script has to know."""


def document(ground: Ground, passwords: dict[str, str]) -> dict[str, Any]:
    """The stack file of the cluster, in its short form."""
    return {
        "name": "bench-cluster",
        "platform": ground.platform("10.78.0.0/24", SECONDS),
        "passwords": {name: {"value": value} for name, value in passwords.items()},
        "cluster": small_cluster(),
    }


def drawn() -> dict[str, str]:
    """New passwords."""
    return {name: secrets.token_urlsafe(24) for name in PASSWORDS}


def by_hand(ground: Ground) -> float:
    """Seconds to the first write through HAProxy, by hand."""
    passwords, rendered = drawn(), ground.folder / "rendered"
    file = ground.keep("passwords.json", json.dumps(passwords))
    stack = ground.write(document(ground, passwords))
    try:
        ground.pgstead("render", stack, "--output", rendered, "--show-secrets")
        words = ("--rendered", rendered, "--passwords", file)
        found = ground.by_hand("handmade_cluster.py", *words)
    finally:
        shutil.rmtree(rendered, ignore_errors=True)
    note(", ".join(f"{step} after {took:.0f} s" for step, took in found["steps"].items()))
    return float(found["seconds"])


def by_pgstead(ground: Ground) -> float:
    """Seconds until the first write that `pgstead up` saw through HAProxy."""
    whole, result = ground.up(document(ground, drawn()))
    note(f"the whole of pgstead up: {whole:.1f} s")
    return float(result["first_write_seconds"])


def measure(rounds: int = 1) -> list[Measure]:
    """Both in turn; nothing where no machine can be booted."""
    return in_turn(WHAT, rounds, by_hand, by_pgstead)


if __name__ == "__main__":
    run(__doc__, measure, rounds=1)
