"""Which machines there are of stacks of one name: their folders tell, whatever is recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pgstead.platforms.base import Found
from pgstead.platforms.local.card import Card, read_card
from pgstead.platforms.local.files import explained
from pgstead.platforms.local.lower import place
from pgstead.platforms.local.places import SERVICES, Places


def found(places: Places, stack: str) -> tuple[Found, ...]:
    """The machines in the folders beside the stack's own that are of its name."""
    base = places.root.parent
    with explained(base):
        roots = sorted(base.glob(f"{stack}-*")) if base.is_dir() else []
    return tuple(one for root in roots for one in _of_root(replace(places, root=root), stack))


def _of_root(places: Places, stack: str) -> list[Found]:
    stack_id = places.root.name.removeprefix(f"{stack}-")
    if "-" in stack_id:
        return []  # of a stack whose name begins alike
    with places.account.acting(), explained(places.machines):
        # A folder without services holds no more than data that was kept.
        folders = [each for each in places.machines.glob("*") if (each / SERVICES).is_dir()]
        return [_machine(places, stack_id, folder) for folder in sorted(folders)]


def _machine(places: Places, stack_id: str, folder: Path) -> Found:
    card = read_card(places.machine(folder.name)) or Card(folder.name, "")
    return Found(
        machine=folder.name,
        stack_id=stack_id,
        address=card.address,
        place=place(places, folder.name, card.address, card.data),
        holds_data=bool(card.data),
        where=str(folder),
    )
