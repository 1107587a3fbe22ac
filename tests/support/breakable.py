"""A cluster that only remembers what is done to it: for the faults of drills."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pgstead.clusters.groups import group
from pgstead.drills.fault import Scene
from pgstead.errors import PlatformError, Refused
from pgstead.machine import Directory, Machine, Software
from pgstead.membership import (
    EtcdMember,
    LoadBalancer,
    PatroniMember,
    PostgresAccess,
    Role,
    TlsClient,
)
from pgstead.platforms.base import Platform, Power
from pgstead.platforms.breaking import Breakage, Cut, Process
from pgstead.reach.base import Finished

TLS = TlsClient("", "", "")
STRICT = {"ttl": 20, "synchronous_mode": "quorum", "synchronous_mode_strict": True}
DATA = "/var/lib/postgresql/data"
APART = "1B-blocks Mounted on\n1073741824 /var/lib/postgresql\n99999999999 /\n"
"""What df says of data on a small file system of its own, and of the machine's."""

PROCESSES = {
    "postgres-1": (
        Process(10, 1, "patroni", "10:1"),
        Process(11, 1, "postgres", "11:2"),
        Process(12, 11, "postgres", "12:3"),
    ),
    "load-balancer-1": (Process(20, 1, "haproxy", "20:1"), Process(21, 20, "haproxy", "21:1")),
}


@dataclass
class Breakable:
    """Stands in for a platform, its ways to break machines and its ways into them.

    `done` is what was asked of it, in order; `failing` are the names of methods that fail, and
    `cannots` what the platform cannot do.
    """

    done: list[tuple[object, ...]] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    cannots: dict[Breakage, str] = field(default_factory=dict)
    off: set[str] = field(default_factory=set)
    said: str = APART

    # -- the platform -----------------------------------------------------------------

    def breaking(self) -> Breakable:
        return self

    def reach(self, machine: str) -> Way:
        return Way(self, machine)

    def power(self, machine: str) -> Power:
        return Power(machine not in self.off, f"boot of {machine}")

    def power_off(self, machine: str, boot: str) -> None:
        self._do("power_off", machine, boot)
        self.off.add(machine)

    def start(self, machine: str) -> None:
        self._do("start", machine)
        self.off.discard(machine)

    # -- its ways to break machines ------------------------------------------------------

    def cannot(self, what: Breakage, machine: str) -> str | None:
        del machine
        return self.cannots.get(what)

    def processes(self, machine: str) -> tuple[Process, ...]:
        return PROCESSES.get(machine, ())

    def signal(self, machine: str, identities: Collection[str], number: int) -> None:
        self._do("signal", machine, tuple(identities), number)

    def freeze(self, machine: str, boot: str) -> None:
        self._do("freeze", machine, boot)

    def thaw(self, machine: str) -> None:
        self._do("thaw", machine)

    def cut(self, cut: Cut) -> None:
        self._do("cut", cut)

    def mend(self, machine: str) -> None:
        self._do("mend", machine)

    def step_clock(self, machine: str, seconds: float) -> None:
        self._do("step_clock", machine, seconds)

    def set_clock(self, machine: str) -> None:
        self._do("set_clock", machine)

    def _do(self, what: str, *words: object) -> None:
        self.done.append((what, *words))
        if what in self.failing:
            raise PlatformError(f"{what} fails") if what != "freeze" else Refused("another boot")


@dataclass(frozen=True)
class Way:
    """Stands in for the way into a machine."""

    platform: Breakable
    machine: str

    def run(self, argv: Sequence[str], *, timeout: float = 60.0) -> Finished:
        del timeout
        self.platform._do(argv[0], self.machine, argv[-1])
        return Finished(0, self.platform.said if argv[0] == "df" else "", "")


def machine(name: str, membership: Any) -> Machine:
    data = (Directory(DATA, data=True),) if name.startswith("postgres") else ()
    return Machine(name, name, f"10.0.0.{len(name)}", Software(directories=data), membership)


def scene_of(
    platform: Breakable,
    *,
    standbys: int = 2,
    etcd: int = 3,
    load_balancers: int = 1,
    settings: dict[str, Any] = STRICT,
    synchronous: tuple[str, ...] = ("postgres-2",),
    notes: Path | None = None,
) -> Scene:
    """A cluster that is whole; `postgres-1` and `etcd-1` lead."""
    access = PostgresAccess((Role("postgres", "-", superuser=True),))
    postgres = tuple(f"postgres-{number + 1}" for number in range(standbys + 1))
    members = tuple(f"etcd-{number + 1}" for number in range(etcd))
    balancers = tuple(f"load-balancer-{number + 1}" for number in range(load_balancers))
    machines = [
        *(machine(name, EtcdMember("e", name, name, TLS)) for name in members),
        *(
            machine(name, PatroniMember("s", "/service/", name, name, TLS, settings, access))
            for name in postgres
        ),
        *(machine(name, LoadBalancer(name, name, TLS)) for name in balancers),
    ]
    groups = group(machines)
    return Scene(
        cast(Platform, platform),
        groups,
        groups.patroni["s"],
        postgres[0],
        postgres[1:],
        tuple(name for name in synchronous if name in postgres),
        members,
        members[0] if members else None,
        balancers,
        notes,
    )
