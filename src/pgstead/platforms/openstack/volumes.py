"""The volumes of machines: the system's and the data's, those that the stack made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pgstead.errors import NotReady, PlatformError
from pgstead.platforms.openstack import attachments, patience
from pgstead.platforms.openstack.errors import explained, hint_for
from pgstead.platforms.openstack.ground import Ground
from pgstead.platforms.openstack.naming import KEY, MACHINE, STACK_ID, USE
from pgstead.platforms.openstack.patience import AGAIN_ANEW, POLL, moment
from pgstead.waiting import wait

OS, DATA = "os", "data"
ASIDE, HOLDS = f"{KEY}aside", f"{KEY}holds_data"
"""Metadata: when it was put aside, and whether a machine was set up around it."""

MAKING = ("creating", "downloading")
"""The status of a volume that was never there to be used yet."""

DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume; `size` is in GiB, `servers` are the ids of those that have it."""

    id: str
    name: str
    status: str
    size: int
    machine: str
    use: str
    servers: tuple[str, ...]
    aside: bool
    holds_data: bool
    created: datetime


def of_stack(ground: Ground) -> list[Volume]:
    """Every volume that the stack made, those put aside too."""
    with explained("list of volumes"):
        return list(_own(ground, ground.cloud.block_storage.volumes()))


def find(ground: Ground, machine: str, use: str) -> Volume | None:
    """A machine's volume for that use; one put aside is not found."""
    return next(iter(of_machine(ground, machine, use)), None)


def of_machine(ground: Ground, machine: str, use: str) -> list[Volume]:
    """All of a machine's volumes for that use, but for those put aside: one, or none."""
    name = ground.naming.volume(machine, use)
    with explained(f"volume {name}"):
        found = list(_own(ground, ground.cloud.block_storage.volumes(name=name)))
    return [one for one in found if (one.machine, one.use) == (machine, use) and not one.aside]


def existing(ground: Ground, wanted: str) -> Volume:
    """Any volume, by id or name. Raises `PlatformError` if there is none."""
    with explained(f"volume {wanted}"):
        found = ground.cloud.block_storage.find_volume(wanted, ignore_missing=True)
    if found is None:
        raise PlatformError(
            f"the cloud shows no volume {wanted!r}", hint="see `openstack volume list`"
        )
    return _volume(found)


def of_any(ground: Ground) -> list[tuple[str, Volume]]:
    """Every volume that any stack made, with the stack's id."""
    with explained("list of volumes"):
        found = list(ground.cloud.block_storage.volumes())
    ids = [str((one.metadata or {}).get(STACK_ID, "")) for one in found]
    return [(ident, _volume(one)) for ident, one in zip(ids, found, strict=True) if ident]


def _own(ground: Ground, found: Iterable[Any]) -> Iterable[Volume]:
    for one in found:
        if (one.metadata or {}).get(STACK_ID) == ground.naming.stack_id:
            yield _volume(one)


def _volume(one: Any) -> Volume:
    about = one.metadata or {}
    return Volume(
        id=str(one.id),
        name=str(one.name or ""),
        status=str(one.status),
        size=int(one.size),
        machine=str(about.get(MACHINE, "")),
        use=str(about.get(USE, "")),
        servers=tuple(str(each["server_id"]) for each in one.attachments or ()),
        aside=ASIDE in about,
        holds_data=HOLDS in about,
        created=moment(one.created_at),
    )


def make(
    ground: Ground,
    machine: str,
    use: str,
    size: int,
    *,
    image: str | None = None,
    kind: str | None = None,
    zone: str | None = None,
) -> Volume:
    """Make a volume of `size` GiB; it is not waited for. `image` is what it is made from."""
    wanted: dict[str, Any] = {
        "name": ground.naming.volume(machine, use),
        "size": size,
        "description": f"{use} of {machine}, made by pgstead for the stack {ground.naming.stack}",
        "metadata": ground.naming.metadata(machine, use),
        "image_id": image,
        "volume_type": kind,
        "availability_zone": zone,
    }
    given = {key: value for key, value in wanted.items() if value is not None}
    with explained(f"volume {wanted['name']} of {size} GiB"):
        return _volume(ground.cloud.block_storage.create_volume(**given))


def get(ground: Ground, volume: Volume) -> Volume | None:
    """The same volume as it is now; None once it is gone."""
    from openstack.exceptions import NotFoundException  # noqa: PLC0415 - as the SDK tells it

    with explained(f"volume {volume.name}"):
        try:
            return _volume(ground.cloud.block_storage.get_volume(volume.id))
        except NotFoundException:
            return None


def settled(ground: Ground, volume: Volume) -> Volume | None:
    """As it is once the cloud has made it, or its time for that is up; None if it is gone."""
    return patience.settled(
        volume, lambda: get(ground, volume), MAKING, ground.settings.build_deadline
    )


def give_up(ground: Ground, volume: Volume) -> None:
    """Delete one that the cloud failed to make, or began and forgot: another is to be made.

    Raises `PlatformError` where the cloud does not let go of it: what a host of cinder's has
    begun, an administrator alone can declare failed.
    """
    try:
        delete(ground, volume)
    except (NotReady, PlatformError) as error:
        raise PlatformError(
            f"the cloud never made the volume {volume.name} (it is {volume.status}, since"
            f" {volume.created:%Y-%m-%d %H:%M:%S} UTC), and does not delete it: {error.message}",
            hint=f"`openstack volume delete --force {volume.id}`, as the cloud's operators may;"
            " the next run makes another",
        ) from None


def wait_usable(ground: Ground, volume: Volume, server: str | None = None) -> Volume:
    """Until it can be attached, or is: to that server. Raises `PlatformError`, `NotReady`."""
    status = volume.status

    def usable() -> Volume | None:
        nonlocal status
        now = get(ground, volume)
        if now is None:
            raise PlatformError(f"the volume {volume.name} is gone")
        if now.status.startswith("error"):
            raise PlatformError(
                f"the cloud could not make the volume {volume.name}: its status is {now.status}",
                hint="see `openstack volume message list`; one that never held anything is made"
                " anew by the next run",
            )
        status = now.status
        mine = now.status == "in-use" and server is not None and server in now.servers
        return now if now.status == "available" or mine else None

    try:
        return wait(
            usable,
            deadline=ground.settings.build_deadline,
            what=f"the volume {volume.name} to be available",
            error=lambda: f"its status is {status}",
            interval=POLL,
        )
    except NotReady as late:
        anew = bool(volume.use) and status in MAKING
        raise NotReady(late.message, hint=AGAIN_ANEW if anew else late.hint) from None


def extend(ground: Ground, volume: Volume, size: int) -> None:
    """Make it `size` GiB large, in use or not."""
    with explained(f"growth of the volume {volume.name} to {size} GiB"):
        ground.cloud.block_storage.extend_volume(volume.id, size)

    def grown() -> bool:
        now = get(ground, volume)
        if now is not None and now.status.startswith("error"):
            raise PlatformError(
                f"the cloud could not grow the volume {volume.name}: its status is {now.status}",
                hint=hint_for(now.status) or "see `openstack volume message list`",
            )
        return now is not None and now.size >= size and now.status in ("available", "in-use")

    _wait(ground, grown, f"the volume {volume.name} to have {size} GiB")


def note(ground: Ground, volume: Volume, key: str, value: str) -> None:
    """Write something into its metadata."""
    with explained(f"metadata of the volume {volume.name}"):
        ground.cloud.block_storage.set_volume_metadata(volume.id, **{key: value})


def put_aside(ground: Ground, machine: str) -> None:
    """Mark a machine's data volume, if it is there: no later machine finds it."""
    found = find(ground, machine, DATA)
    if found is not None:
        note(ground, found, ASIDE, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")


def delete(ground: Ground, volume: Volume) -> None:
    """Delete a volume of the stack's own, once nothing has it any more, and wait until it is."""

    def let_go() -> bool:
        now = get(ground, volume)
        if now is None or now.status not in ("in-use", "detaching", "reserved", "attaching"):
            return True
        attachments.release(ground, now)
        return False

    _wait(ground, let_go, f"the volume {volume.name} to be let go of")
    if volume.status != DELETING:
        with explained(f"volume {volume.name}"):
            ground.cloud.block_storage.delete_volume(volume.id, ignore_missing=True)
    _wait(ground, lambda: get(ground, volume) is None, f"the volume {volume.name} to be gone")


def _wait(ground: Ground, ready: Callable[[], bool], what: str) -> None:
    wait(ready, deadline=ground.settings.build_deadline, what=what, interval=POLL)
