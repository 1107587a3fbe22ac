"""Boots told apart, and hosts that tell of their domains; on libvirt's own driver for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("libvirt")

import libvirt

from pgstead.engine.resource import Recorded
from pgstead.errors import PlatformError, Refused
from pgstead.platforms.base import Tells
from pgstead.platforms.libvirt import events
from pgstead.platforms.libvirt.platform import LibvirtPlatform
from pgstead.spec.libvirt import LibvirtPlatform as Settings

URI = "test:///default"
DOMAIN = "test"
"""A domain that the driver has from the start, and that runs."""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A connection; all connections of a process to this driver see one world."""
    monkeypatch.setattr(events, "END_SECONDS", 60.0)  # a listener that ends has ended
    with closing(libvirt.open(URI)) as opened:
        domain = opened.lookupByName(DOMAIN)
        if not domain.isActive():
            domain.create()
        yield opened


Make = Callable[[str], LibvirtPlatform]


@pytest.fixture
def platform() -> Iterator[Make]:
    """Makes platforms with one machine, `one`, by its domain's id."""
    made: list[LibvirtPlatform] = []

    def make(uuid: str) -> LibvirtPlatform:
        made.append(_platform(uuid))
        return made[-1]

    yield make
    for one in made:
        one.ground.hosts.get("host").close()


def _platform(uuid: str) -> LibvirtPlatform:
    place = {"host": "host", "uuid": uuid, "machine": "one"}
    record = Recorded("machine.one", "machine", {}, "ready", (), place)
    return LibvirtPlatform(
        Settings.model_validate({"uri": URI, "pool": "default-pool"}),
        "shop",
        "0123",
        secret=str,
        folder=Path("/nowhere"),
        recorded=lambda: {"machine.one": record},
    )


class Count:
    """How often something was told."""

    def __init__(self) -> None:
        self.number, self._more = 0, threading.Condition()

    def __call__(self) -> None:
        with self._more:
            self.number += 1
            self._more.notify_all()

    def reach(self, number: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: self.number >= number, 60), self.number


def test_the_end_and_the_start_of_a_machine_are_told(world: Any, platform: Make) -> None:
    domain = world.lookupByName(DOMAIN)
    ground, told = platform(domain.UUIDString()), Count()
    assert isinstance(ground, Tells)
    with ground.watch(("one", "unknown"), told):
        told.reach(1)  # it is listened to
        ground.power_off("one", ground.power("one").boot)
        told.reach(2)
        domain.create()
        told.reach(3)
        domain.suspend()
        told.reach(4)
    domain.destroy()
    assert told.number == 4  # nobody listens any more


def test_others_domains_are_not_told_of(world: Any, platform: Make) -> None:
    mine, told = world.lookupByName(DOMAIN), Count()
    other = world.defineXML(
        "<domain type='test'><name>o</name><memory>1</memory><os><type>hvm</type></os></domain>"
    )
    with platform(mine.UUIDString()).watch(("one",), told):
        told.reach(1)
        other.create()
        other.destroy()
        other.undefine()
        mine.destroy()
        told.reach(2)
        assert told.number == 2


def test_a_connection_that_breaks_is_opened_again(
    world: Any, platform: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "AGAIN_SECONDS", 0.01)
    made: list[events._Listener] = []

    def listener(*given: Any) -> events._Listener:
        made.append(real(*given))
        return made[-1]

    monkeypatch.setattr(events, "_Listener", listener)
    attempts = iter([PlatformError("no answer"), None, PlatformError("no answer"), None])

    def opened(host: Any) -> Any:
        if error := next(attempts):
            raise error
        return libvirt.open(host.uri)

    monkeypatch.setattr(events, "opened", opened)
    domain, told = world.lookupByName(DOMAIN), Count()
    with platform(domain.UUIDString()).watch(("one",), told):
        told.reach(1)
        made[0]._lost()
        told.reach(2)
        domain.destroy()
        told.reach(3)
    assert not made[0].thread.is_alive()


real = events._Listener


def test_a_boot_has_one_name_and_the_next_one_another(world: Any, platform: Make) -> None:
    domain = world.lookupByName(DOMAIN)
    ground = platform(domain.UUIDString())
    boot = ground.power("one").boot
    assert ground.power("one").boot == boot
    assert platform(domain.UUIDString()).power("one").boot == boot  # another sentinel's
    domain.destroy()
    assert not ground.power("one").on
    domain.create()
    assert ground.power("one").boot != boot
    with pytest.raises(Refused, match="started again since"):
        ground.power_off("one", boot)
    assert domain.isActive()


def test_a_host_that_counts_from_the_start_again_makes_no_boot_come_back(
    world: Any, platform: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libvirt.virDomain, "ID", lambda _: 1)
    domain = world.lookupByName(DOMAIN)
    ground = platform(domain.UUIDString())
    boot = ground.power("one").boot
    domain.destroy()
    domain.create()
    assert ground.power("one").boot != boot


def test_what_is_not_there_or_cannot_be_told_is_a_platforms_error(
    world: Any, platform: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = platform("6b2f4c2e-6c1b-5c52-9d3a-4c9f2c1f7a56")
    with pytest.raises(PlatformError, match="is not on host"):
        ground.power("one")

    def fails(*_: object) -> Any:
        raise libvirt.libvirtError("client socket is closed")

    ground = platform(world.lookupByName(DOMAIN).UUIDString())
    monkeypatch.setattr(libvirt.virDomain, "isActive", fails)
    with pytest.raises(PlatformError, match="look at one on host"):
        ground.power("one")
    with pytest.raises(PlatformError, match="look at one on host"):
        ground.power_off("one", "1:x")
