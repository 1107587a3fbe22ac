"""What a drill hands over: one JSON document, one page that needs nothing else."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from pgstead.drills.asserts import check, parse
from pgstead.drills.judge import judge
from pgstead.drills.ledger import Work
from pgstead.drills.picture import LABEL, LEFT, RIGHT, WIDTH, picture
from pgstead.drills.report import as_dict, as_html
from pgstead.drills.result import Drilled
from pgstead.drills.verdict import Verdict
from pgstead.errors import NotReady, PgsteadError
from pgstead.redaction import remember
from support.drills import BEGAN, ENDED, STARTED, STRUCK, attempts, every, ledger, log, verdict


def drilled(*verdicts: Verdict, broken_off: PgsteadError | None = None) -> Drilled:
    return Drilled(
        "shop",
        "local",
        STARTED,
        STARTED + timedelta(minutes=3),
        verdicts,
        check(parse("p95(write_outage) <= 5s", ()), verdicts),
        {"clock-stepped": "processes of one machine share its clock"},
        {"leader-dead": "the leader's machine dead"},
        broken_off,
    )


def test_the_document_tells_all_in_the_types_of_json() -> None:
    told = as_dict(drilled(verdict(4.0), verdict(6.0, number=2, found=[1])))
    assert json.loads(json.dumps(told)) == told
    assert not told["passed"]
    (fault,) = told["faults"]
    assert (fault["fault"], fault["rounds"], fault["unsound"]) == ("leader-dead", 2, [2])
    assert fault["write_outage"] == {"median": 5.0, "p95": 6.0, "max": 6.0}
    assert fault["read_outage"] is None
    second = told["rounds"][1]
    assert second["rows"]["duplicates"] == {"count": 1, "ids": [1]}
    assert second["clients"][0]["outages"] == [[-0.05, 5.95]]
    assert len(second["pulse"]["writes"]) == 121
    assert told["assertions"][0]["figure"] == 6.0
    assert told["assertions"][0]["holds"] is False


def test_it_passed_only_if_nothing_ended_it() -> None:
    assert as_dict(drilled(verdict(4.0)))["passed"]
    ended = as_dict(drilled(verdict(4.0), broken_off=NotReady("no further round")))
    assert (ended["passed"], ended["broken_off"]) == (False, "no further round")


class Page(HTMLParser):
    """Elements must close as they opened; nothing may come from elsewhere."""

    VOID = ("meta", "!doctype")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe", "object")
        assert not {name for name, _ in attrs} & {"src", "href", "onload", "style"}
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def page(made: Drilled) -> tuple[str, str]:
    """The page, and its text."""
    html = as_html(made)
    reader = Page()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    assert "url(" not in html
    assert "@import" not in html
    return html, " ".join(" ".join(reader.words).split())


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    html, words = page(drilled(verdict(4.0), verdict(6.0, number=2, found=[1])))
    assert html.startswith("<!DOCTYPE html>")
    assert "prefers-color-scheme: dark" in html
    assert "Drill of shop failed" in words
    assert "cut the power of postgres-1" in words
    assert "clock-stepped: processes of one machine share its clock" in words
    assert html.count("<svg") == 2
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ET.fromstring(svg)


def test_what_servers_say_is_text_on_the_page_and_secrets_are_not() -> None:
    remember(["correct-horse-battery"])
    said = '<img src="http://elsewhere/">&amp; password correct-horse-battery'
    tried = attempts([STRUCK + 1], first=9, error=said)
    told = judged([*attempts(every(0.05, BEGAN, STRUCK)), *tried])
    html, words = page(drilled(told))
    assert '<img src="http://elsewhere/">&amp; password ***' in words
    assert "correct-horse" not in html + json.dumps(as_dict(drilled(told)))


def judged(tried: list[Any], **others: Any) -> Verdict:
    return judge(ledger(log(tried), **others), [])


def test_a_drill_without_a_round_has_a_page_too() -> None:
    _, words = page(drilled(broken_off=NotReady("the cluster fell apart")))
    assert "Broken off: the cluster fell apart" in words


def test_the_picture_shows_when_writes_stood_still() -> None:
    drawn = picture(verdict(4.0))
    scale = (WIDTH - LEFT - RIGHT) / (ENDED - BEGAN + 0.1)
    (strip,) = drawn.strips
    (bar,) = strip.outages
    assert bar.width == pytest.approx(4.0 * scale, abs=1)
    assert bar.x == pytest.approx(LEFT + 1.95 * scale, abs=1)
    assert [mark.kind for mark in drawn.marks] == ["fault", "restored", "whole"]
    assert drawn.marks[1].x == pytest.approx(LEFT + 7 * scale, abs=1)
    assert [tick.label for tick in drawn.ticks][:3] == ["-2", "-1", "0"]
    heights = [float(y) for y in re.findall(r"V([\d.]+)", drawn.writes)]
    assert min(heights) == 3 * LABEL + 4
    assert max(heights) == drawn.base
    assert drawn.reads == ""


def test_reads_have_a_line_of_their_own() -> None:
    writer = log(attempts(every(0.05, BEGAN, ENDED)))
    reader = log(attempts(every(0.05, BEGAN, ENDED)), "reader", Work.READ)
    drawn = picture(judge(ledger(writer, reader), []))
    assert drawn.reads
    assert [strip.client for strip in drawn.strips] == ["persistent", "reader"]
    assert drawn.reads_base > drawn.base
