"""A plan in words."""

import io

from rich.console import Console

from pgstead.cli import plan_view
from pgstead.engine.compare import make_plan
from pgstead.engine.plan import Action, Change, Difference, Plan
from pgstead.engine.resource import Attribute, Present, Recorded, Resource, Unknown, Value
from pgstead.machine import OnChange


def shown(*differences: Difference) -> list[str]:
    return lines(Plan((Change("machine.a", Action.UPDATE, (), differences),)))[1:-1]


def lines(plan: Plan) -> list[str]:
    text = io.StringIO()
    plan_view.show(plan, Console(file=text, width=200))
    return [line.strip() for line in text.getvalue().splitlines()]


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


SILENT = "ssh to 10.0.0.9: no route to host"


def half_seen(**seen: Value | Unknown) -> Plan:
    """The plan for a machine of which this was seen; all of it should be `x`, and once was."""
    wanted = {key: Attribute("x", OnChange.RELOAD, f"file {key}") for key in seen}
    resource = Resource("machine.a", "machine", wanted)
    known = Recorded("machine.a", "machine", resource.values)
    return make_plan([resource], {"machine.a": known}, {"machine.a": Present(seen)})


def test_a_machine_that_is_out_of_reach_is_told_of_once() -> None:
    silent = Unknown(SILENT)
    plan = half_seen(one=silent, two=silent, three=Unknown("no such thing"), four="x")
    assert lines(plan)[:-1] == [
        "? machine.a unknown",
        f"{SILENT}: 2 attributes not seen",
        "file three: no such thing",
    ]


def test_a_program_is_told_every_attribute_that_was_not_seen() -> None:
    silent = Unknown(SILENT)
    (change,) = plan_view.as_json(half_seen(one=silent, two=silent))["changes"]
    assert change["unseen"] == [
        {"key": "one", "label": "file one", "reason": SILENT},
        {"key": "two", "label": "file two", "reason": SILENT},
    ]


def test_what_differs_is_told_beside_what_was_not_seen() -> None:
    plan = half_seen(one=Unknown(SILENT), two=Unknown(SILENT), three="y")
    assert lines(plan)[:-1] == [
        "~ machine.a update (reloaded, nobody is disturbed)",
        f"{SILENT}: 2 attributes not seen",
        "file three: y -> x (changed by hand)",
    ]


def test_a_program_is_told_what_a_cloud_was_asked() -> None:
    assert plan_view.as_json(Plan(()), 15)["api_requests"] == 15
    assert "api_requests" not in plan_view.as_json(Plan(())), "where there is no cloud"
