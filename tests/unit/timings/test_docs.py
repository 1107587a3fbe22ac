"""docs/timings.md says what the arithmetic gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pgstead.timings.settings import Settings
from pgstead.timings.targets import TARGETS
from pgstead.timings.worst_case import FAULTS, outage_of_a_dead_leader, worst_cases

Clock = Callable[..., Settings]

PAGE = Path(__file__).resolve().parents[3] / "docs" / "timings.md"
ROW = re.compile(r"^\| (?P<names>`[a-z-]+`.*?) \| (?P<most>[^|]+) \|", re.MULTILINE)
SECONDS = re.compile(r"^([\d.]+) s")


def table(title: str) -> dict[str, str]:
    """The second column of a chapter's table by the names in its first one."""
    text = PAGE.read_text(encoding="utf-8").split(f"## {title}")[1].split("\n## ")[0]
    return {
        name: row["most"]
        for row in ROW.finditer(text)
        for name in re.findall(r"`([a-z-]+)`", row["names"])
    }


def test_every_fault_has_its_figure(clock: Clock) -> None:
    told = table("What each fault costs")
    bounds = worst_cases(clock())
    for fault in FAULTS:
        base = re.sub(r"-(sent|received)$", "", fault)
        found = SECONDS.match(told[base])
        assert (float(found[1]) if found else None) == bounds[fault].seconds, fault


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_its_figure(target: str, clock: Clock) -> None:
    text = PAGE.read_text(encoding="utf-8")
    (line,) = [each for each in text.splitlines() if each.startswith(f"| `{target}`")]
    settings = clock({"target": target})
    assert settings.patroni is not None
    found = settings.patroni
    assert f"| {found.ttl} / {found.loop_wait} / {found.retry_timeout} |" in line
    assert f"| {outage_of_a_dead_leader(settings):g} s" in line
