"""A plan in words."""

import io

from rich.console import Console

from pgstead.cli import plan_view
from pgstead.engine.plan import Action, Change, Difference, Plan
from pgstead.machine import OnChange


def shown(*differences: Difference) -> list[str]:
    text = io.StringIO()
    plan = Plan((Change("machine.a", Action.UPDATE, (), differences),))
    plan_view.show(plan, Console(file=text, width=200))
    return [line.strip() for line in text.getvalue().splitlines()[1:-1]]


def missing(key: str, label: str, *, before: str | None = None, hidden: bool = False) -> Difference:
    return Difference(key, label, before, "0600", OnChange.RELOAD, drift=True, hidden=hidden)


def test_what_is_missing_is_said_once() -> None:
    file = missing("file:/x", "file /x", hidden=True)
    folder = missing("directory:/y", "folder /y")
    modes = missing("mode:/x", "mode of file /x"), missing("mode:/y", "mode of folder /y")
    assert shown(file, modes[0]) == ["file /x: missing (changed by hand)"]
    assert shown(folder, modes[1]) == ["folder /y: absent -> 0600 (changed by hand)"]


def test_permissions_of_what_is_there_are_told() -> None:
    mode = missing("mode:/x", "mode of file /x", before="0644")
    assert shown(mode) == ["mode of file /x: 0644 -> 0600 (changed by hand)"]
