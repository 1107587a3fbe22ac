"""A plan, in words and as JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from pgstead.engine.plan import Action, Change, Difference, Plan
from pgstead.engine.resource import Unknown
from pgstead.machine import OnChange

SIGNS = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.REPLACE: ("±", "magenta"),
    Action.DELETE: ("-", "red"),
    Action.FORGET: ("-", "dim"),
    Action.UNKNOWN: ("?", "cyan"),
    Action.REFUSE: ("!", "bold red"),
}

EFFECTS = {
    OnChange.RELOAD: "reloaded, nobody is disturbed",
    OnChange.RESTART: "restarted, one member at a time",
    OnChange.IN_PLACE: "changed in place",
    OnChange.REPLACE: "replaced, its data kept",
    OnChange.REFUSE: "refused",
}


def show(plan: Plan, console: Console) -> None:
    """Every change with its reasons, then a line that counts them."""
    for change in plan.changes:
        if change.action is not Action.NONE:
            _change(change, console)
    console.print(Text(plan.summary, style="bold"))


def _change(change: Change, console: Console) -> None:
    sign, style = SIGNS[change.action]
    line = Text.assemble((f"{sign} ", style), (change.address, "bold"), " ", f"{change.action}")
    if change.action is Action.UPDATE and change.effect in EFFECTS:
        line.append(f" ({EFFECTS[change.effect]})", style="dim")
    console.print(line)
    for reason in change.reasons:
        console.print(Text(f"    {reason}", style="dim"))
    for difference in change.differences:
        console.print(Text(f"    {_words(difference)}"))


def _words(difference: Difference) -> str:
    origin = " (changed by hand)" if difference.drift else ""
    if difference.hidden:
        return f"{difference.label}: {_hidden(difference)}{origin}"
    return f"{difference.label}: {_value(difference.before)} -> {_value(difference.after)}{origin}"


def _hidden(difference: Difference) -> str:
    if difference.before is None:
        return "missing" if difference.drift else "new"
    return "removed" if difference.after is None else "differs"


def _value(value: object) -> str:
    return "absent" if value is None else str(value)


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan as one document: `{"changes": [...], "summary": ...}`."""
    return {
        "summary": plan.summary,
        "pending": len(plan.pending),
        "changes": [_json(change) for change in plan.changes if change.action is not Action.NONE],
    }


def _json(change: Change) -> dict[str, Any]:
    return {
        "address": change.address,
        "action": change.action.value,
        "effect": change.effect.value,
        "exclusive": change.exclusive,
        "reasons": list(change.reasons),
        "differences": [_difference(difference) for difference in change.differences],
    }


def _difference(difference: Difference) -> dict[str, Any]:
    before = difference.before
    return {
        "key": difference.key,
        "label": difference.label,
        "before": before.reason if isinstance(before, Unknown) else before,
        "after": difference.after,
        "drift": difference.drift,
        "on_change": difference.on_change.value,
    }
