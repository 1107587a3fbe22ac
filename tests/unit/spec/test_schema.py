"""The JSON schema takes what pgstead takes, and describes every key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import Field

from pgstead.errors import SpecError
from pgstead.spec import Model, Secret, expand, load, loads, schema


class Member(Model):
    """A member."""

    name: str = Field(description="Its name.")
    weight: int = Field(1, ge=0, description="Its weight.")


class Etcd(Model):
    """An etcd server."""

    name: str = Field(description="The machine's name.")
    password: Secret | None = Field(None, description="Root's password.")
    size: int = Field(3, description="A number.")
    mode: str = Field("a", pattern="^[ab]$", description="A choice.")
    members: tuple[Member, ...] = Field((), description="All members.")


class Other(Model):
    """Another kind, with a part of the same name."""

    class Member(Model):
        """A member of another kind."""

        ip: str = Field(description="Its address.")

    member: Member = Field(description="A member.")


EMPTY = (
    "name: x\ncluster: {etcd: }\n",
    "name: x\ncluster: {postgres: {application: }, load_balancer: {read_only: , api: }}\n",
    "name: x\nplatform:\nstate:\ncluster:\n",
    "name: x\nplatform: {kind: local, binaries: }\ncluster:\n",
    "name: x\npasswords: {app: }\ncertificate_authorities: {x: }\ncluster:\n",
)
"""Sections with nothing in them: their defaults hold."""

NO_SECTIONS = (
    "name: x\ncluster: {etcd: {members: }}\n",
    "name: x\npasswords:\ncluster:\n",
    "name: x\nmodules:\n",
    "name: x\ncluster: {postgres: {members: 3, application: '${modules.a.b}'}}\n",
)
"""What has no defaults, or takes no reference, and is no section therefore."""

SCHEMA = schema({"etcd-server": Etcd, "other": Other})
QUICKSTART = Path(__file__).parents[3] / "examples" / "quickstart.yaml"


def check(text: str) -> None:
    jsonschema.validate(yaml.safe_load(text), SCHEMA, cls=jsonschema.Draft202012Validator)


def test_it_is_a_schema_itself() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_quickstart_is_valid() -> None:
    check(QUICKSTART.read_text(encoding="utf-8"))


def test_an_expanded_stack_is_valid_with_the_modules_left_open() -> None:
    document = yaml.safe_load(expand(load(QUICKSTART)))
    document["modules"] = {}
    jsonschema.validate(document, SCHEMA, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "text",
    [
        "name: x\ncluster:\n",
        *EMPTY,
        "name: x\ncluster: {postgres: {version: 15, synchronous: false}}\n",
        "name: x\ncluster: {timings: {idle: 1h, connect: '${env:T}'}}\n",
        "name: x\ncluster: {timings: {target: slow, watchdog: {mode: automatic}}}\n",
        "name: x\ncluster: {timings: {target: 40s, client: {connect_timeout: 3}}}\n",
        "name: x\nmodules: {a: {source: etcd-server, name: n, size: 4}}\n",
        "name: x\nmodules: {a: {source: etcd-server, name: n, size: '${modules.b.size}'}}\n",
        "name: x\nmodules: {a: {source: etcd-server, name: n, mode: '${env:M}'}}\n",
        "name: x\nmodules: {a: {source: etcd-server, name: n, members: '${modules.b.all}'}}\n",
        "name: x\nmodules: {a: {source: other, member: {ip: i}}}\n",
    ],
)
def test_it_takes_what_is_right(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    "text",
    [
        *NO_SECTIONS,
        "name: x\n",
        "name: x\ncluster: {}\nmodules: {}\n",
        "cluster: {}\n",
        "name: x\ncluster: {timings: {target: faster}}\n",
        "name: x\ncluster: {timings: {target: 40}}\n",
        "name: x\nversion: 2\ncluster: {}\n",
        "name: x\ncluster: {postgres: {members: many}}\n",
        "name: x\ncluster: {postgres: {membres: 3}}\n",
        "name: x\nplatform: {kind: other}\ncluster: {}\n",
        "name: x\nmodules: {a: {name: n}}\n",
        "name: x\nmodules: {a: {source: unknown}}\n",
        "name: x\nmodules: {a: {source: etcd-server, name: n, size: four}}\n",
        "name: x\nmodules: {a: {source: etcd-server, name: n, syze: 4}}\n",
        "name: x\nmodules: {a: {source: etcd-server, name: n, mode: c}}\n",
        "name: x\nmodules: {a: {source: etcd-server, name: n, members: ['${modules.b.one}']}}\n",
        "name: x\nmodules: {a: {source: other, member: {name: i}}}\n",
    ],
)
def test_it_refuses_what_is_wrong(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(text)


def properties(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for name, value in node.get("properties", {}).items():
            if isinstance(value, dict):
                yield f"{path}.{name}", value
        for key, value in node.items():
            yield from properties(value, f"{path}/{key}")
    elif isinstance(node, list):
        for value in node:
            yield from properties(value, path)


def test_every_key_is_described() -> None:
    silent = [
        path
        for path, value in properties(SCHEMA)
        if "description" not in value and "/if" not in path
    ]
    assert silent == []


def test_what_the_schema_takes_loads() -> None:
    text = "name: x\ncluster: {postgres: {version: 15, synchronous: false}}\n"
    check(text)
    loads(text, folder=Path("/stacks"), environ={})


@pytest.mark.parametrize("text", EMPTY)
def test_the_loader_takes_empty_sections_as_well(text: str) -> None:
    loads(text, folder=Path("/stacks"), environ={})


@pytest.mark.parametrize("text", NO_SECTIONS)
def test_the_loader_refuses_what_is_no_section_as_well(text: str) -> None:
    with pytest.raises(SpecError):
        loads(text, folder=Path("/stacks"), environ={})
