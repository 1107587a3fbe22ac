"""The examples of whole clusters: each of them plans."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pgstead.engine.compare import make_plan
from pgstead.engine.plan import Action
from pgstead.engine.resource import Resource
from pgstead.modules.base import Context, Facts
from pgstead.modules.build import build
from pgstead.modules.fake import FakeMaterials
from pgstead.platforms.memory.platform import MemoryPlatform
from pgstead.platforms.memory.world import World
from pgstead.spec import Stack, expand, load, loads

EXAMPLES = {"quickstart": 7, "libvirt": 8, "openstack": 8}
"""The examples, with the number of their machines."""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_every_example_is_tested(project: Path) -> None:
    assert {one.stem for one in (project / "examples").glob("*.yaml")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_plans(name: str, project: Path, tmp_path: Path) -> None:
    stack = load(project / "examples" / f"{name}.yaml", environ={})
    machines = build(stack, Context(Facts(stack.platform.kind), FakeMaterials())).machines
    platform = MemoryPlatform(World(tmp_path / "world"))
    desired = platform.lower(machines, digest)
    plan = make_plan(desired, {}, platform.observe({one.address: one for one in desired}, str))
    assert [one.action for one in plan.changes] == [Action.CREATE] * EXAMPLES[name]


def test_virtual_machines_are_as_the_example_says(project: Path) -> None:
    pytest.importorskip("libvirt")
    stack = load(project / "examples" / "libvirt.yaml", environ={})
    resources = _lowered(stack)
    assert resources["machine.postgres-1"].values["memory"] == 8192
    assert resources["machine.postgres-1"].values["disk:data"] == 50
    assert resources["machine.etcd-1"].values["disk:os"] == 10
    assert "disk:data" not in resources["machine.load-balancer-1"].values
    expanded = loads(expand(stack), folder=project / "examples", environ={})
    assert {key: one.values for key, one in _lowered(expanded).items()} == {
        key: one.values for key, one in resources.items()
    }


def _lowered(stack: Stack) -> dict[str, Resource]:
    from pgstead.platforms.libvirt import LibvirtPlatform  # noqa: PLC0415 - may be missing
    from pgstead.spec.libvirt import LibvirtPlatform as Settings  # noqa: PLC0415

    assert isinstance(stack.platform, Settings)
    machines = build(stack, Context(Facts("libvirt"), FakeMaterials())).machines
    platform = LibvirtPlatform(
        stack.platform, stack.name, "0123", secret=str, folder=Path("/nowhere")
    )
    return {one.address: one for one in platform.lower(machines, digest)}
