"""What the cloud began and forgot is given up in time, and nothing that may hold data ever is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("openstack")

from openstack.block_storage.v3 import attachment, volume
from openstack.block_storage.v3._proxy import Proxy as BlockStorage
from openstack.compute.v2 import server
from openstack.compute.v2._proxy import Proxy as Compute
from openstack.exceptions import BadRequestException, NotFoundException

from pgstead.engine.resource import Recorded
from pgstead.errors import NotReady, PlatformError
from pgstead.platforms.openstack import attachments, patience, servers, volumes
from pgstead.platforms.openstack.disks import MachineDisks
from pgstead.platforms.openstack.ground import Ground
from support.openstack.fake import FakeCloud, digest, plain, platform, proxy

MARKS = {"pgstead_stack_id": "0123", "pgstead_stack": "shop", "pgstead_machine": "thing-1"}
SECONDS = 100
ADDRESS = "machine.thing-1"


def ago(seconds: float) -> str:
    """As cinder tells a time: UTC, and it does not say so."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()


def a_volume(status: str, *, seconds: float = 1000, use: str = "data", **about: str) -> Any:
    return volume.Volume(
        id=f"v-{use}",
        name=f"thing-1-{use}",
        status=status,
        size=1,
        created_at=ago(seconds),
        metadata={**MARKS, "pgstead_use": use, **about},
    )


class Cinder:
    """A few volumes, and what became of them."""

    def __init__(self, *there: Any) -> None:
        self.there = {one.id: one for one in there}
        self.deleted: list[str] = []
        self.proxy = proxy(
            BlockStorage,
            *("volumes", "get_volume", "create_volume", "delete_volume"),
            *("attachments", "delete_attachment"),
        )
        self.proxy.volumes.side_effect = self._list
        self.proxy.get_volume.side_effect = self._get
        self.proxy.delete_volume.side_effect = self._delete
        self.proxy.create_volume.side_effect = self._create

    def end(self, gone: Any) -> Any:
        """A volume is deleted at last."""
        self.there.pop(gone.id, None)
        raise NotFoundException

    def _list(self, **query: Any) -> list[Any]:
        use = query["name"].split("-")[2]
        return [one for one in self.there.values() if one.metadata["pgstead_use"] == use]

    def _get(self, ident: str) -> Any:
        if ident not in self.there:
            raise NotFoundException
        return self.there[ident]

    def _delete(self, ident: str, **_: Any) -> None:
        self.deleted.append(ident)
        del self.there[ident]

    def _create(self, **wanted: Any) -> Any:
        made = volume.Volume(id="v-new", status="creating", created_at=ago(0), **wanted)
        self.there[made.id] = made
        return made


def recorded(status: str) -> dict[str, Recorded]:
    return {ADDRESS: Recorded(ADDRESS, "machine", {"disk:data": 1}, status)}


def disks_of(cinder: Cinder, known: dict[str, Recorded] | None = None) -> MachineDisks:
    cloud = FakeCloud()
    cloud.block_storage = cinder.proxy
    made = platform(cloud, known, boot_from_volume=True, build_deadline=SECONDS)
    (resource,) = made.lower([plain()], digest)
    return MachineDisks(made.ground, resource)


@pytest.mark.parametrize("status", ["creating", "downloading", "error"])
@pytest.mark.parametrize("use", ["os", "data"])
def test_what_was_never_made_is_made_anew(use: str, status: str) -> None:
    other = a_volume("available", use={"os": "data", "data": "os"}[use])
    cinder = Cinder(a_volume(status, use=use), other)
    disks_of(cinder, recorded("creating")).ask()
    assert cinder.deleted == [f"v-{use}"]
    assert set(cinder.there) == {"v-new", other.id}


def test_what_is_being_deleted_is_waited_for_and_made_anew() -> None:
    going = a_volume("deleting")
    cinder = Cinder(going, a_volume("available", use="os"))
    answers = iter([going])
    cinder.proxy.get_volume.side_effect = lambda _: next(answers, None) or cinder.end(going)
    disks_of(cinder).ask()
    assert (cinder.deleted, "v-new" in cinder.there) == ([], True), "cinder refuses a second time"


def test_what_is_being_made_has_its_time() -> None:
    there = a_volume("creating", seconds=SECONDS / 2)
    cinder = Cinder(there, a_volume("available", use="os"))

    def look(_: str) -> Any:
        there.status = "available"
        return there

    cinder.proxy.get_volume.side_effect = look
    disks = disks_of(cinder, recorded("creating"))
    disks.ask()
    assert disks.must().data is not None
    assert (cinder.deleted, set(cinder.there)) == ([], {"v-data", "v-os"})


@pytest.mark.parametrize(
    ("there", "status"),
    [
        (a_volume("creating"), "ready"),
        (a_volume("creating"), "updating"),
        (a_volume("error"), "replacing"),
        (a_volume("creating", pgstead_holds_data="yes"), "creating"),
        (a_volume("error", pgstead_holds_data="yes"), "creating"),
        (a_volume("available"), "creating"),
        (a_volume("reserved"), "creating"),
        (a_volume("error_extending"), "creating"),
    ],
)
def test_what_may_hold_data_stays(there: Any, status: str) -> None:
    cinder = Cinder(there, a_volume("available", use="os"))
    disks_of(cinder, recorded(status)).ask()
    assert cinder.deleted == []
    assert "v-new" not in cinder.there


def test_what_the_cloud_does_not_let_go_of_is_told() -> None:
    cinder = Cinder(a_volume("creating"), a_volume("available", use="os"))
    cinder.proxy.delete_volume.side_effect = BadRequestException("Invalid volume: status")
    with pytest.raises(PlatformError, match="never made the volume thing-1-data") as told:
        disks_of(cinder).ask()
    assert "it is creating, since 20" in told.value.message
    assert "--force v-data" in str(told.value.hint)


def test_a_volume_that_is_not_made_in_time_is_made_anew_by_the_next_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cinder = Cinder(a_volume("available", use="os"))
    disks = disks_of(cinder)
    disks.ask()
    monkeypatch.setattr(volumes, "wait", in_vain)
    with pytest.raises(NotReady, match="to be available, in vain") as told:
        disks.wait_usable()
    assert "deletes it and asks for it again" in str(told.value.hint)


def in_vain(ready: Any, *, what: str, **_: Any) -> Any:
    """`waiting.wait` whose time is up after the first look."""
    if found := ready():
        return found
    raise NotReady(f"waited 100.0 s for {what}, in vain")


# -- servers


def ground_with(*found: Any) -> tuple[Ground, Any]:
    """A ground whose nova answers those, one after the other."""
    cloud = FakeCloud()
    cloud.compute = proxy(Compute, "get_server", "confirm_server_resize")
    cloud.compute.get_server.side_effect = list(found)
    return platform(cloud, build_deadline=SECONDS).ground, cloud


def a_server(status: str, seconds: float) -> Any:
    about = {**MARKS, "pgstead_machine": "thing-1"}
    created = ago(seconds) + "Z"
    return server.Server(id="s1", name="thing-1", status=status, metadata=about, created_at=created)


@pytest.mark.parametrize(
    ("seconds", "answers", "status", "asked"),
    [
        (1000, ["BUILD"], "BUILD", 1),
        (1, ["ACTIVE"], "ACTIVE", 1),
        (1, ["ERROR"], "ERROR", 1),
        (1, [], None, 1),
    ],
)
def test_a_server_has_its_time_too(
    seconds: float, answers: list[str], status: str | None, asked: int
) -> None:
    shown = [a_server(one, seconds) for one in answers] or [NotFoundException()]
    ground, cloud = ground_with(*shown)
    begun = servers._server(a_server("BUILD", seconds))
    now = servers.settled(ground, begun)
    assert (now.status if now else None) == status
    assert cloud.compute.get_server.call_count == asked


def test_one_that_is_made_is_not_asked_for_again() -> None:
    ground, cloud = ground_with()
    made = servers._server(a_server("ACTIVE", 0))
    assert servers.settled(ground, made) is made
    assert cloud.compute.get_server.call_count == 0


def test_a_resize_is_confirmed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nova shows the same until it has done it, and refuses to be told a second time."""
    before = a_server(servers.RESIZED, 0)
    ground, cloud = ground_with(before, before, before, a_server("ACTIVE", 0))
    monkeypatch.setattr(servers, "wait", at_once)
    servers._wait_resized(ground, servers._server(before), "")
    cloud.compute.confirm_server_resize.assert_called_once_with("s1")


def at_once(ready: Any, **_: Any) -> None:
    """`waiting.wait` to which looks cost no time."""
    while not ready():
        pass


# -- reservations


def reserved(for_whom: str | None, status: str = "reserved") -> Any:
    return attachment.Attachment(id=f"a-{for_whom}", instance=for_whom, status=status)


@pytest.mark.parametrize(
    ("status", "shown", "released"),
    [
        ("reserved", [reserved("gone")], ["a-gone"]),
        ("reserved", [reserved("s1"), reserved("gone")], ["a-gone"]),
        ("reserved", [reserved(None)], []),
        ("reserved", [reserved("gone", "attaching")], []),
        ("attaching", [reserved("gone")], []),
        ("in-use", [reserved("gone", "attached")], []),
    ],
)
def test_only_what_no_server_can_be_using_is_released(
    status: str, shown: list[Any], released: list[str]
) -> None:
    cinder = Cinder(a_volume(status))
    cinder.proxy.attachments.return_value = shown
    ground, cloud = ground_with()
    cloud.block_storage = cinder.proxy
    cloud.compute.get_server.side_effect = known
    attachments.release(ground, volumes._volume(a_volume(status)))
    asked = cinder.proxy.delete_attachment.call_args_list
    assert asked == [mock.call(one, ignore_missing=True) for one in released]


def known(ident: str) -> Any:
    if ident != "s1":
        raise NotFoundException
    return a_server("ACTIVE", 0)


# -- times


def test_times_are_utc_even_if_unsaid() -> None:
    told = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for text in ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000", "2026-01-02T03:04:05"):
        assert patience.moment(text) == told
    assert abs(patience.moment(None) - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(("age", "left"), [(0, 100), (40, 60), (100, 0), (1000, 0), (-500, 100)])
def test_a_clock_that_is_off_gives_no_more_time(age: int, left: int) -> None:
    began = datetime.now(UTC) - timedelta(seconds=age)
    assert patience.left(began, 100) == pytest.approx(left, abs=30)
