"""Machines, with what their memberships need before, between and after a platform's steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from pgstead.clusters import etcd_machine, patroni_machine, places, postgres
from pgstead.clusters.deciding import patiently
from pgstead.clusters.etcd_view import Previous
from pgstead.clusters.groups import Groups, group
from pgstead.clusters.health import of_groups
from pgstead.clusters.rolling import Do, Next
from pgstead.engine.plan import RUNNING
from pgstead.engine.resource import Data, Observed, Recorded, Resource, Step, Steps
from pgstead.machine import Machine, OnChange
from pgstead.membership import EtcdMember, PatroniMember, StandaloneServer
from pgstead.platforms.base import Digest, Platform

KIND = "machine"
PREFIX = "machine."


def never(_: str) -> tuple[str, ...]:
    """A `previous` that knows of no password."""
    return ()


class MachineProvider:
    """Implements `engine.resource.Provider` for `machine` resources.

    `machines` are those desired; `recorded` is the state at the beginning, which tells a
    cluster that is being made from one that serves already.
    """

    def __init__(
        self,
        platform: Platform,
        machines: Iterable[Machine],
        digest: Digest,
        *,
        recorded: Mapping[str, Recorded],
        previous: Previous = never,
    ) -> None:
        self.platform, self.digest, self.recorded = platform, digest, recorded
        self.groups: Groups = group(machines)
        self.etcd = etcd_machine.EtcdMachines(platform, self.groups, recorded, previous)
        self.patroni = patroni_machine.PatroniMachines(platform, self.groups, recorded, previous)

    def observe(self, targets: Mapping[str, Resource | Recorded]) -> Mapping[str, Observed]:
        """What the platform sees."""
        return self.platform.observe(targets, self.digest)

    def create(self, resource: Resource, *, recorded: Recorded | None) -> Steps:
        """Make the machine and have it take its place in its cluster."""
        machine = self._machine(resource.address)
        if machine is not None and isinstance(machine.membership, EtcdMember):
            yield from self.etcd.create(resource, machine, recorded)
        elif machine is not None and isinstance(machine.membership, PatroniMember):
            yield from self.patroni.create(resource, machine, recorded)
        else:
            yield from self.platform.create(resource, {})

    def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
        """Bring changes into effect; what stops a service waits until its cluster can bear it."""
        steps = self.platform.update(resource, changed)
        if _disturbs(changed):
            yield from self._disturbed(resource, steps, adopted=_taken_over(changed))
            return
        machine = self._machine(resource.address)
        if machine is not None and isinstance(machine.membership, PatroniMember):
            steps = self.patroni.reloaded(machine, changed, steps)
        yield from steps

    def replace(self, resource: Resource, recorded: Recorded) -> Steps:
        """Made anew around its data, as disturbing as a long restart."""
        machine = self._machine(resource.address)

        def steps() -> Steps:
            if machine is not None and isinstance(machine.membership, EtcdMember):
                yield from self.etcd.part(machine.name, machine.membership)
            yield from self.platform.delete(recorded, data=Data.KEEP)
            yield from self.create(resource, recorded=recorded)

        yield from self._disturbed(resource, steps())

    def delete(self, recorded: Recorded, *, data: Data) -> Steps:
        """Leave the cluster, if there is one left, then stop and remove the machine."""
        place = places.read(recorded.place)
        if place is not None and place.kind == "etcd" and place.group in self.groups.etcd:
            yield from self.etcd.leave(place)
        elif place is not None and place.kind == "patroni" and place.group in self.groups.patroni:
            yield from self.patroni.leave(place)
        yield from self.platform.delete(recorded, data=data)
        if place is not None and place.kind == "patroni":
            yield from self.patroni.left(place)

    def _machine(self, address: str) -> Machine | None:
        return self.groups.machines.get(address.removeprefix(PREFIX))

    def _disturbed(self, resource: Resource, steps: Steps, *, adopted: bool = False) -> Steps:
        machine = self._machine(resource.address)
        if machine is not None and isinstance(machine.membership, EtcdMember):
            yield from self._all_well(machine.name, space=False)
            yield from self.etcd.around(machine.membership, steps)
        elif machine is not None and isinstance(machine.membership, PatroniMember):
            yield from self._all_well(machine.name)
            yield from self.patroni.around(machine.membership, steps, keeps_leading=adopted)
        else:
            yield from steps
            if machine is not None and isinstance(machine.membership, StandaloneServer):
                yield from _answering(machine, machine.membership)

    def _all_well(self, name: str, *, space: bool = True) -> Steps:
        """Wait for the health of every other member in the stack, of whichever cluster.

        Only for a member that serves: starting one that does not disturbs nobody. Without
        `space` in etcd no member of Patroni's could take over, or register anew; etcd's own
        are restarted all the same, since a larger quota may be what it takes.
        """
        if not (self.etcd.serves(name) or self.patroni.serves(name)):
            return

        def decide() -> Next:
            found = of_groups(self.groups, without=name, space=space)
            return Next(Do.GO) if found.ok else Next(Do.WAIT, "; ".join(found.reasons))

        if decide().do is Do.WAIT:
            what = f"the stack's clusters before {name} is disturbed"
            yield Step(f"wait for {what}", partial(_wait, decide, what))


def _answering(machine: Machine, server: StandaloneServer) -> Steps:
    """A server that listens may still be recovering, or be the one that is about to stop."""
    if machine.guest.running:
        title = f"wait until {machine.name} takes connections"
        yield Step(title, partial(postgres.wait_answers, server))


def _wait(decide: Callable[[], Next], what: str) -> None:
    patiently(decide, what=what)


def _disturbs(changed: Mapping[str, OnChange]) -> bool:
    return any(change.severity >= OnChange.RESTART.severity for change in changed.values())


def _taken_over(changed: Mapping[str, OnChange]) -> bool:
    """Whether services are merely taken over by their supervisor, which ends Patroni alone.

    Those that do not run at all are started: none of them serves that could be disturbed.
    """
    return all(key.startswith(RUNNING) for key in changed)
