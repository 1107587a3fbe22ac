"""Requests to the lab's services: which were made, and which shall fail."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

CLIENTS = "openstacksdk"
"""What stands in the User-Agent of those who ask from outside; services name themselves too."""


@dataclass(frozen=True)
class Fault:
    """Requests that fail, and how. Patterns are regular expressions, searched for.

    `skip` of those that fit pass first, and `times` of the others fail. A `late` fault strikes
    after the service has done what was asked: only its answer is lost. With `die` the process
    is killed instead of answering, until `Lab.start`.
    """

    status: int = 503
    method: str = ""
    path: str = ""
    agent: str = CLIENTS
    skip: int = 0
    times: int = 1_000_000
    late: bool = False
    die: bool = False
    headers: dict[str, str] = field(default_factory=dict)


CHANGES = "^(POST|PUT|PATCH|DELETE)$"
"""The methods that change something, for `Fault.method`."""


@dataclass(frozen=True)
class Request:
    """A request that a service was asked; `status` is empty if it was made to fail."""

    service: str
    method: str
    path: str
    status: str
    agent: str

    @property
    def is_from_client(self) -> bool:
        """Whether it came from outside, not from another service."""
        return CLIENTS in self.agent


def tell(lab: Path, service: str, faults: Iterable[Fault]) -> None:
    """Have a service follow these from its next request on, and forget those told before."""
    file = lab / "faults" / f"{service}.json"
    part = file.with_suffix(".part")
    part.write_text(json.dumps([asdict(one) for one in faults]))
    part.replace(file)


def read_requests(lab: Path, service: str) -> list[Request]:
    """All that a service was asked so far, in order."""
    file = lab / "requests" / service
    lines = file.read_text().splitlines() if file.exists() else []
    return [Request(service, *line.split("\t", 3)) for line in lines]
