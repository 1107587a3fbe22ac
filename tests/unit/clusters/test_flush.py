"""What was filled without waiting for the disk is written to it once, and nothing else."""

from dataclasses import dataclass, field, replace
from typing import cast

from pgstead.clusters.patroni_steps import flush
from pgstead.machine import path
from pgstead.membership import PatroniMember, PostgresAccess, Role, TlsClient
from pgstead.platforms.base import Platform
from pgstead.run import Finished

SYNCED = PatroniMember(
    "s",
    "/service/",
    "p1",
    "127.1.2.3",
    TlsClient("ca", "crt", "key"),
    {},
    PostgresAccess((Role("postgres", "secret"),)),
)
UNSYNCED = replace(SYNCED, name="p2", sync_path="/data")


@dataclass
class Machines:
    """Remembers what was run where."""

    ran: list[tuple[str, list[str]]] = field(default_factory=list)
    machine: str = ""

    def reach(self, machine: str) -> "Machines":
        return Machines(self.ran, machine)

    def run(self, argv: list[str]) -> Finished:
        self.ran.append((self.machine, argv))
        return Finished(tuple(argv), 0, "", "")


def test_only_folders_that_were_filled_without_waiting_are_synced() -> None:
    machines = Machines()
    steps = list(flush(cast("Platform", machines), {"a": SYNCED, "b": UNSYNCED}, "write"))
    for step in steps:
        step.run()
    assert machines.ran == [("b", ["sync", "-f", path("/data")])]


def test_where_there_is_none_there_is_no_step() -> None:
    assert not list(flush(cast("Platform", Machines()), {"a": SYNCED}, "write"))
