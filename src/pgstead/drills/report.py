"""A drill as one JSON document, and as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pgstead.drills.asserts import Outcome
from pgstead.drills.picture import WIDTH, picture
from pgstead.drills.result import Drilled
from pgstead.drills.series import Series, by_fault, summarise
from pgstead.drills.verdict import STEP, ClientVerdict, RowsVerdict, Verdict
from pgstead.redaction import redact
from pgstead.render import render

NAMED = 100
"""Ids of rows that are told in full; of more, only how many there are."""


def as_dict(drilled: Drilled) -> dict[str, Any]:
    """The document. All times are seconds, those within a round since the fault began."""
    return {
        "stack": drilled.stack,
        "platform": drilled.platform,
        "started": drilled.started.isoformat(timespec="seconds"),
        "ended": drilled.ended.isoformat(timespec="seconds"),
        "passed": drilled.passed,
        "broken_off": redact(drilled.broken_off.message) if drilled.broken_off else None,
        "left_out": dict(drilled.left_out),
        "assertions": [_outcome(outcome) for outcome in drilled.outcomes],
        "faults": [
            _series(summarise(rounds), drilled.titles)
            for rounds in by_fault(drilled.verdicts).values()
        ],
        "rounds": [_round(verdict) for verdict in drilled.verdicts],
    }


def as_html(drilled: Drilled) -> str:
    """The page: for every round what happened when, and who was kept waiting."""
    pictures = [picture(verdict) for verdict in drilled.verdicts]
    document = as_dict(drilled)
    rounds = list(zip(document["rounds"], pictures, strict=True))
    return render(__package__, "report.html.j2", drill=document, rounds=rounds, width=WIDTH)


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "assertion": outcome.text,
        "fault": outcome.fault,
        "figure": _rounded(outcome.figure),
        "unit": outcome.unit,
        "holds": outcome.holds,
    }


def _series(series: Series, titles: Mapping[str, str]) -> dict[str, Any]:
    told = asdict(series)
    for name in ("write_outage", "read_outage", "whole"):
        if told[name]:
            told[name] = {key: _rounded(figure) for key, figure in told[name].items()}
    return {**told, "title": titles.get(series.fault, ""), "unsound": list(series.unsound)}


def _round(verdict: Verdict) -> dict[str, Any]:
    return {
        "fault": verdict.fault,
        "number": verdict.number,
        "started": verdict.started.isoformat(timespec="milliseconds"),
        "damage": redact(verdict.damage),
        "struck": _rounded(verdict.struck),
        "sound": verdict.sound,
        "problem": redact(verdict.problem),
        "write_outage": _rounded(verdict.write_outage),
        "read_outage": _rounded(verdict.read_outage),
        "unaided": verdict.unaided,
        "restored": _rounded(verdict.restored),
        "whole": _rounded(verdict.whole),
        "promotions": [{**asdict(one), "at": _rounded(one.at)} for one in verdict.promotions],
        "timelines": list(verdict.timelines),
        "rivals": verdict.rivals,
        "heard": [{"at": _rounded(one.at), "text": redact(one.text)} for one in verdict.heard],
        "rows": _rows(verdict.rows) if verdict.rows else None,
        "clients": [_client(client) for client in verdict.clients],
        "pulse": {
            "step": STEP,
            "begin": _rounded(verdict.pulse.begin),
            "writes": list(verdict.pulse.writes),
            "reads": list(verdict.pulse.reads),
        },
    }


def _rows(rows: RowsVerdict) -> dict[str, Any]:
    return {
        "acknowledged": rows.acknowledged,
        "found": rows.found,
        **{
            name: {"count": len(ids), "ids": list(ids[:NAMED])}
            for name, ids in (
                ("lost", rows.lost),
                ("ghosts", rows.ghosts),
                ("duplicates", rows.duplicates),
            )
        },
    }


def _client(client: ClientVerdict) -> dict[str, Any]:
    return {
        "client": client.client,
        "work": client.work.value,
        "acknowledged": client.acknowledged,
        "outage": _rounded(client.outage),
        "longest_gap": _rounded(client.longest_gap),
        "outages": [[_rounded(begin), _rounded(end)] for begin, end in client.outages],
        "errors": [{"message": redact(text), "count": count} for text, count in client.errors],
    }


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 3)
