"""One virtual machine with PostgreSQL: `pgstead up` beside the same made by hand, in turn.

Both are measured as whole processes until the first write.
"""

from __future__ import annotations

from typing import Any

from booting import Ground, in_turn, run
from measures import Measure

WHAT = "one virtual machine"
SECONDS = 900


def document(ground: Ground) -> dict[str, Any]:
    """The stack file of the machine."""
    return {
        "name": "bench-machine",
        "platform": ground.platform("10.78.0.0/24", SECONDS),
        "certificate_authorities": {"bench": {}},
        "modules": {
            "postgres": {
                "source": "postgres-server",
                "name": "postgres",
                "ca": "bench",
                "key_length": None,
                "vcpus": 1,
                "memory": 512,
                "install_dependencies": False,
                "postgres_user": "owner",
                "postgres_database": "things",
                "postgres_params": "-c 'shared_buffers=32MB'",
            }
        },
    }


def by_hand(ground: Ground) -> float:
    """Seconds to the first write of the machine made by hand."""
    return float(ground.by_hand("handmade_machine.py")["seconds"])


def by_pgstead(ground: Ground) -> float:
    """Seconds of `pgstead up` as a whole process, the first write among them."""
    return ground.up(document(ground))[0]


def measure(rounds: int = 1) -> list[Measure]:
    """Both in turn; nothing where no machine can be booted."""
    return in_turn(WHAT, rounds, by_hand, by_pgstead)


if __name__ == "__main__":
    run(__doc__, measure, rounds=2)
