"""What the resources of clusters have in common: they live inside machines, and go with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from pgstead.clusters.groups import was_made
from pgstead.engine.resource import Data, Observed, Recorded, Resource, Steps


class Resident(ABC):
    """Implements of `engine.resource.Provider` what is the same for all of them.

    `recorded` is what the state holds, by address.
    """

    def __init__(self, recorded: Mapping[str, Recorded]) -> None:
        self.recorded = recorded

    def observe(self, targets: Mapping[str, Resource | Recorded]) -> Mapping[str, Observed]:
        """Each by itself."""
        return {address: self._observe(address) for address in targets}

    @abstractmethod
    def _observe(self, address: str) -> Observed:
        """What is there of one."""

    def _was_made(self, address: str) -> bool:
        """Whether it was there once: where it is not seen now, it is unknown and not absent."""
        return was_made(self.recorded.get(address))

    @abstractmethod
    def create(self, resource: Resource, *, recorded: Recorded | None) -> Steps:
        """Steps that make it; each looks at what is there before it acts."""

    def replace(self, resource: Resource, recorded: Recorded) -> Steps:
        """There is nothing to replace."""
        yield from self.create(resource, recorded=recorded)

    def delete(self, recorded: Recorded, *, data: Data) -> Steps:
        """It goes with its machines."""
        del recorded, data
        yield from ()
