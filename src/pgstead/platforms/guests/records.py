"""What a state says of guests."""

from __future__ import annotations

from collections.abc import Mapping

from pgstead.engine.resource import Recorded
from pgstead.errors import PlatformError
from pgstead.platforms.guests.lowering import GIVEN_DATA, KIND


def nothing_recorded() -> Mapping[str, Recorded]:
    """Of a stack that is new."""
    return {}


def record_of(recorded: Mapping[str, Recorded], machine: str, key: str) -> Recorded:
    """A machine's record, whose place has `key`. Raises `PlatformError` for one never made."""
    record = recorded.get(f"{KIND}.{machine}")
    if record is None or key not in record.place:
        raise PlatformError(f"the machine {machine} was not made yet", hint="`pgstead up` makes it")
    return record


def data_is_given(recorded: Mapping[str, Recorded], machine: str) -> bool:
    """Whether a recorded machine's data is on a volume that the stack file names."""
    known = recorded.get(f"{KIND}.{machine}")
    return known is not None and GIVEN_DATA in known.place
