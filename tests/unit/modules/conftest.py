from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pgstead.machine import Machine
from pgstead.modules.base import Context, Facts
from pgstead.modules.build import Blueprint, build
from pgstead.modules.fake import FakeMaterials
from pgstead.spec import from_tree

Tree = dict[str, Any]


Build = Callable[..., Blueprint]
Make = Callable[..., Machine]


@pytest.fixture
def build_all() -> Build:
    """Build modules, with an authority `ca` and the passwords `one` and `two` at hand."""

    def built(
        modules: Mapping[str, Tree],
        *,
        platform: str = "local",
        versions: Mapping[str, str] | None = None,
        materials: FakeMaterials | None = None,
        **top: Any,
    ) -> Blueprint:
        tree = {
            "name": "unit",
            "platform": {"kind": "local" if platform == "local" else "memory"},
            "certificate_authorities": {"ca": {}},
            "passwords": {"one": {}, "two": {}},
            "modules": dict(modules),
            **top,
        }
        stack = from_tree(tree, folder=Path("/nowhere"), environ={})
        return build(stack, Context(Facts(platform, versions or {}), materials or FakeMaterials()))

    return built


@pytest.fixture
def make(build_all: Build) -> Make:
    """Build one module, under the key `it`, to its machine."""

    def made(tree: Tree, *, platform: str = "local", **versions: str) -> Machine:
        (machine,) = build_all({"it": tree}, platform=platform, versions=versions).machines
        return machine

    return made


@pytest.fixture
def etcd() -> Tree:
    return {
        "source": "etcd-server",
        "name": "etcd-1",
        "ip": "10.1.0.1",
        "ca": "ca",
        "cluster": {
            "initial_token": "token",
            "initial_members": [{"name": "etcd-1", "ip": "10.1.0.1"}],
        },
    }


@pytest.fixture
def patroni() -> Tree:
    return {
        "source": "patroni-server",
        "name": "postgres-1",
        "ca": "ca",
        "postgres": {"superuser_password": "super", "replicator_password": "replicator"},
        "etcd": {"endpoints": ["10.1.0.1:2379"]},
        "patroni": {"scope": "main"},
    }


@pytest.fixture
def balancer() -> Tree:
    return {
        "source": "postgres-load-balancer",
        "name": "lb-1",
        "ca": "ca",
        "haproxy": {"members": [{"name": "postgres-1", "ip": "10.1.0.5"}]},
    }


@pytest.fixture
def server() -> Tree:
    return {"source": "postgres-server", "name": "alone", "ca": "ca"}
