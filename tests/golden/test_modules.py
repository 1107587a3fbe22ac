from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pgstead.machine import Guest, Machine
from pgstead.modules.base import Context, Facts
from pgstead.modules.build import build
from pgstead.modules.fake import FakeMaterials
from pgstead.spec import Stack, load

HERE = Path(__file__).parent
CASES = sorted(path.parent for path in HERE.glob("*/stack.yaml"))
INSTALLED = {"postgresql": "15.18", "etcd": "3.4.23", "haproxy": "2.6.12", "patroni": "4.1.5"}


def _context(stack: Stack) -> Context:
    if stack.platform.kind == "local":
        return Context(Facts("local", INSTALLED), FakeMaterials("127.40.7.1"))
    return Context(Facts(stack.platform.kind), FakeMaterials())


def _rendered(case: Path) -> dict[str, str]:
    stack = load(case / "stack.yaml", environ={})
    blueprint = build(stack, _context(stack))
    texts = {
        f"{machine.name}{file.path}": file.content
        for machine in blueprint.machines
        for file in machine.software.files
    }
    for machine in blueprint.machines:
        texts[f"{machine.name}/machine.json"] = _described(machine)
    outputs = {
        key: {name: asdict(v) for name, v in o.items()} for key, o in blueprint.outputs.items()
    }
    texts["outputs.json"] = json.dumps(outputs, indent=1) + "\n"
    texts["warnings.txt"] = "".join(f"{warning}\n" for warning in blueprint.warnings)
    return texts


def _described(machine: Machine) -> str:
    """Everything about a machine but its files' contents."""

    def plain(value: Any) -> Any:
        return dict(value) if hasattr(value, "keys") else str(value)

    software = machine.software
    tree = {
        "address": machine.address,
        "after": machine.after,
        "packages": [asdict(package) for package in software.packages],
        "users": [user.name for user in software.users],
        "directories": [
            f"{one.path} {one.mode:04o} {one.owner}{' data' if one.data else ''}"
            for one in software.directories
        ],
        "files": [
            f"{one.path} {one.mode:04o} {one.owner} {one.on_change} {one.service or '-'}"
            f"{' secret' if one.secret else ''}"
            for one in software.files
        ],
        "setup": [[one.name, *one.argv, f"creates {one.creates}"] for one in software.setup],
        "services": [
            {
                slot: getattr(one, slot)
                if not hasattr(getattr(one, slot), "__dataclass_fields__")
                else asdict(getattr(one, slot))
                for slot in one.__dataclass_fields__
            }
            for one in software.services
        ],
        type(machine.membership).__name__: {
            slot: getattr(machine.membership, slot)
            if not hasattr(getattr(machine.membership, slot), "__dataclass_fields__")
            else asdict(getattr(machine.membership, slot))
            for slot in machine.membership.__dataclass_fields__
        },
    }
    if machine.guest != Guest():  # not of a machine that shares a kernel
        tree["guest"] = asdict(machine.guest)
    return json.dumps(tree, indent=1, default=plain) + "\n"


def _written(case: Path) -> dict[str, str]:
    return {
        str(path.relative_to(case)): path.read_text(encoding="utf-8")
        for path in sorted(case.rglob("*"))
        if path.is_file() and path.name != "stack.yaml"
    }


def _write(case: Path, texts: dict[str, str]) -> None:
    for path in case.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    for name, text in texts.items():
        target = case / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_modules_render_what_they_did(case: Path, *, regenerate: bool) -> None:
    rendered = _rendered(case)
    if regenerate:
        _write(case, rendered)
    assert rendered == _written(case), "run: pytest tests/golden --regenerate-golden"
