"""Resources of any kind, made, changed and removed in a `World`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from pgstead.engine.resource import Data, Observed, Present, Recorded, Resource, Step, Steps, Value
from pgstead.machine import OnChange
from pgstead.platforms.memory.world import World


class MemoryProvider:
    """The fake behind unit tests: small, and held to the contract that the real ones pass."""

    def __init__(self, world: World) -> None:
        self.world = world

    def observe(self, targets: Mapping[str, Resource | Recorded]) -> Mapping[str, Observed]:
        """What the world holds at those addresses."""
        return {address: self._look(address) for address in targets}

    def create(self, resource: Resource, *, recorded: Recorded | None) -> Steps:
        """Two steps, so that there is something in between to interrupt."""
        del recorded
        half = dict(list(resource.values.items())[: len(resource.attributes) // 2])
        yield self._put("make", resource.address, half)
        yield self._put("complete", resource.address, resource.values)

    def update(self, resource: Resource, changed: Mapping[str, OnChange]) -> Steps:
        """A step per key; a key the resource does not have any more is removed."""
        for key in changed:
            yield Step(f"change {key}", partial(self._change, resource, key))

    def replace(self, resource: Resource, recorded: Recorded) -> Steps:
        """Removed, then made anew."""
        yield self._put("remove", recorded.address, None)
        yield from self.create(resource, recorded=recorded)

    def delete(self, recorded: Recorded, *, data: Data) -> Steps:
        """One step; what held data stays as data alone unless told otherwise."""
        if recorded.holds_data and data is not Data.DELETE:
            yield self._put("keep data", f"data.{recorded.address}", recorded.values)
        yield self._put("remove", recorded.address, None)

    def _look(self, address: str) -> Observed:
        values = self.world.get(address)
        return None if values is None else Present(values)

    def _put(self, title: str, address: str, values: Mapping[str, Value] | None) -> Step:
        return Step(title, lambda: self.world.put(address, values))

    def _change(self, resource: Resource, key: str) -> None:
        values = dict(self.world.get(resource.address) or {})
        values.pop(key, None)
        if key in resource.attributes:
            values[key] = resource.attributes[key].value
        self.world.put(resource.address, values)
