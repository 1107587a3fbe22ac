"""The steps that change what is inside a machine that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from pgstead.engine.resource import Resource, Step, Steps
from pgstead.machine import Machine, OnChange
from pgstead.platforms.guests import inside
from pgstead.platforms.guests.guest import Guest
from pgstead.platforms.guests.pushing import push, what
from pgstead.platforms.software import STOPPED, Actions, actions


class Inside:
    """Changes the software of one machine; `guest` gives it as it is when it is asked for."""

    def __init__(self, resource: Resource, guest: Callable[[], Guest]) -> None:
        self.resource, self.guest = resource, guest
        self.machine: Machine = resource.body

    def steps(self, changed: Mapping[str, OnChange]) -> Steps:
        """The files first, then whatever has to be told or started again."""
        name = self.machine.name
        todo = actions(self.machine.software, changed, self._stopped())
        yield Step(f"push {what(todo)} to {name}", partial(self._push, todo, changed))
        for service in todo.reload:
            yield Step(f"reload {service} on {name}", partial(self._reload, service))
        for service in (*todo.start, *todo.restart):
            word = "start" if service in todo.start else "restart"
            yield Step(f"{word} {service} on {name}", partial(self._restart, service))

    def push_before_restart(self, changed: Mapping[str, OnChange]) -> None:
        """What is read at the start that follows; a machine that is off gets it after that."""
        guest = self.guest()
        if changed and guest.answers():
            push(guest, actions(self.machine.software, changed), changed)

    def _push(self, todo: Actions, changed: Mapping[str, OnChange]) -> None:
        push(self.guest(), todo, changed)

    def _reload(self, service: str) -> None:
        self.guest().reload(service)

    def _restart(self, service: str) -> None:
        self.guest().restart(service)

    def _stopped(self) -> frozenset[str]:
        keys = [key for key in self.resource.attributes if key.startswith("running:")]
        guest = self.guest()
        if guest.reach is None:
            return frozenset()
        found = inside.values(guest.reach, self.resource, keys, str)
        return frozenset(key.partition(":")[2] for key, one in found.items() if one == STOPPED)
