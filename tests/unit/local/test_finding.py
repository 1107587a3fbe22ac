"""Machines found by their folders, whatever the state says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pgstead.platforms.base import Found
from pgstead.platforms.local import finding
from pgstead.platforms.local.account import service_account
from pgstead.platforms.local.card import Card, write_card
from pgstead.platforms.local.places import SERVICES, Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """The places of a stack that nobody made: its id is a new one."""
    account = replace(service_account(None), switch=False)
    return Places(tmp_path / "shop-ffffffff", tmp_path / "short", account)


def make(places: Places, root: str, machine: str, card: Card | None = None) -> Path:
    here = replace(places, root=places.root.parent / root).machine(machine)
    (here.folder / SERVICES).mkdir(parents=True)
    if card is not None:
        write_card(here, card)
    return here.folder


def names(found: tuple[Found, ...]) -> list[tuple[str, str]]:
    return [(one.stack_id, one.machine) for one in found]


def test_machines_are_found_by_the_stacks_name(places: Places) -> None:
    card = Card("etcd-1", "127.1.2.3", data=("/var/lib/etcd",))
    folder = make(places, "shop-0a1b2c3d", "etcd-1", card)
    make(places, "shop-99999999", "etcd-1")
    make(places, "shop-2-0a1b2c3d", "other")
    make(places, "workshop-0a1b2c3d", "other")
    first, second = finding.found(places, "shop")
    assert names((first, second)) == [("0a1b2c3d", "etcd-1"), ("99999999", "etcd-1")]
    assert first.place == {
        "machine": "etcd-1",
        "folder": str(folder),
        "address": "127.1.2.3",
        "data": ["/var/lib/etcd"],
    }
    assert (first.address, first.holds_data, first.where) == ("127.1.2.3", True, str(folder))
    assert (second.address, second.holds_data) == ("", False)  # its card was lost


def test_data_that_was_kept_is_no_machine(places: Places) -> None:
    (places.root.parent / "shop-0a1b2c3d/machines/etcd-1/var/lib/etcd").mkdir(parents=True)
    assert finding.found(places, "shop") == ()


def test_where_nothing_was_ever_made_nothing_is_found(places: Places) -> None:
    assert finding.found(replace(places, root=places.root / "none/shop-1"), "shop") == ()
