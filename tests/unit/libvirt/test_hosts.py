"""Several hosts, one of them down: the plan says who goes where, and what waits."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("libvirt")

from rich.console import Console

from pgstead.cli import plan_view
from pgstead.engine.compare import make_plan
from pgstead.engine.leaving import leave_out
from pgstead.engine.plan import Plan
from pgstead.engine.resource import Recorded
from pgstead.platforms.libvirt.platform import LibvirtPlatform
from pgstead.spec.libvirt import LibvirtPlatform as Settings
from support.machines import machine

HERE = {"uri": "test:///default", "pool": "default-pool"}
DOWN = {"uri": "qemu+unix:///system?socket=/nowhere"}


@pytest.fixture
def platform() -> LibvirtPlatform:
    given: dict[str, Any] = {"hosts": {"a": HERE, "b": DOWN}, "virt_type": "qemu"}
    return LibvirtPlatform(
        Settings.model_validate(given),
        "shop",
        "0123",
        secret=str,
        folder=Path("/nowhere"),
        recorded=dict,
    )


def planned(platform: LibvirtPlatform, recorded: dict[str, Recorded]) -> Plan:
    wanted = platform.lower([machine("one"), machine("two"), machine("three")], str)
    seen = platform.observe({each.address: each for each in wanted}, str)
    return leave_out(make_plan(wanted, recorded, seen))


def lines(plan: Plan) -> list[str]:
    text = io.StringIO()
    plan_view.show(plan, Console(file=text, width=200))
    return [line for line in text.getvalue().splitlines() if not line.startswith(" ")]


def test_the_plan_says_who_goes_where(platform: LibvirtPlatform) -> None:
    plan = planned(platform, {})
    assert lines(plan)[:-1] == [
        "+ machine.one create on a",
        "+ machine.three create on a",
        "? machine.two leave",
    ]
    changes = plan_view.as_json(plan)["changes"]
    assert {one["address"]: one["host"] for one in changes} == {
        "machine.one": "a",
        "machine.two": "b",
        "machine.three": "a",
    }


def test_a_host_that_is_down_holds_up_nobody_else(platform: LibvirtPlatform) -> None:
    plan = planned(platform, {})
    assert [change.address for change in plan.pending] == ["machine.one", "machine.three"]
    (left,) = plan.left_out
    assert left.address == "machine.two"
    assert "cannot connect to" in left.reasons[0]
    assert "b" in left.reasons[0].split("cannot connect to")[1]
