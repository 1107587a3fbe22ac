"""A plan, in words and as JSON."""

from __future__ import annotations

from dataclasses import asdict
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
    Action.LEAVE: ("?", "cyan"),
    Action.REFUSE: ("!", "bold red"),
}

EFFECTS = {
    OnChange.RELOAD: "reloaded, nobody is disturbed",
    OnChange.RESTART: "restarted, one member at a time",
    OnChange.IN_PLACE: "changed in place",
    OnChange.REPLACE: "replaced, its data kept",
    OnChange.REFUSE: "refused",
}


RUNS = {
    "stopped": "does not run: started",
    "unsupervised": "is taken over by its supervisor",
}
"""By what a service's state is, what is done about it."""

STARTED = "started, nobody is disturbed"


def show(plan: Plan, console: Console) -> None:
    """Every change with its reasons, then a line that counts them."""
    for change in plan.changes:
        if change.action is not Action.NONE:
            _change(change, console)
        for reason in change.reasons if change.action is Action.NONE else ():
            console.print(Text.assemble(("= ", "cyan"), (change.address, "bold"), f" {reason}"))
    console.print(Text(plan.summary, style="bold"))


def show_removal(plan: Plan, console: Console, *, delete_data: bool) -> None:
    """What goes, and what becomes of its data."""
    fate = "its data deleted for good" if delete_data else "its data kept"
    for change in plan.pending:
        sign, style = SIGNS[change.action]
        line = Text.assemble((f"{sign} ", style), (change.address, "bold"))
        if change.recorded and change.recorded.holds_data:
            line.append(f" ({fate})", style="dim")
        console.print(line)
    count = len(plan.pending)
    console.print(Text(f"{count} to remove." if count else "Nothing to remove.", style="bold"))


def _change(change: Change, console: Console) -> None:
    sign, style = SIGNS[change.action]
    line = Text.assemble((f"{sign} ", style), (change.address, "bold"), " ", f"{change.action}")
    if change.action in (Action.CREATE, Action.REPLACE) and (host := _host(change)):
        line.append(f" on {host}")
    if change.action is Action.UPDATE and change.effect in EFFECTS:
        effect = STARTED if _only_starts(change) else EFFECTS[change.effect]
        line.append(f" ({effect})", style="dim")
    console.print(line)
    for reason in change.reasons:
        console.print(Text(f"    {reason}", style="dim"))
    for difference in _telling(change):
        console.print(Text(f"    {_words(difference)}"))


def _telling(change: Change) -> list[Difference]:
    """Without the permissions of what is not there: that it is missing says it all."""
    absent = {each.key for each in change.differences if each.before is None}

    def implied(difference: Difference) -> bool:
        kind, _, name = difference.key.partition(":")
        return kind == "mode" and bool(absent & {f"file:{name}", f"directory:{name}"})

    return [each for each in change.differences if not implied(each)]


def _host(change: Change) -> str:
    """Where it is made, on a platform of several hosts."""
    return str(change.resource.place.get("host", "")) if change.resource else ""


def _only_starts(change: Change) -> bool:
    """Whether all that is wrong is that something does not run."""
    return all(
        difference.key.startswith("running:") and difference.before == "stopped"
        for difference in change.differences
    )


def _words(difference: Difference) -> str:
    kind, _, name = difference.key.partition(":")
    if kind == "running" and difference.before in RUNS:
        return f"{name} {RUNS[str(difference.before)]}"
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


def as_json(plan: Plan, requests: int | None = None) -> dict[str, Any]:
    """The plan as one document: `{"changes": [...], "summary": ...}`.

    `requests` is how many a cloud was sent to make it, where there is a cloud.
    """
    return {
        **({} if requests is None else {"api_requests": requests}),
        "summary": plan.summary,
        "pending": len(plan.pending),
        "notes": [
            f"{change.address} {reason}"
            for change in plan.changes
            if change.action is Action.NONE
            for reason in change.reasons
        ],
        "changes": [_json(change) for change in plan.changes if change.action is not Action.NONE],
    }


def _json(change: Change) -> dict[str, Any]:
    return {
        "address": change.address,
        "action": change.action.value,
        "host": _host(change) or None,
        "effect": change.effect.value,
        "exclusive": change.exclusive,
        "reasons": list(change.reasons),
        "unseen": [asdict(one) for one in change.unseen],
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
