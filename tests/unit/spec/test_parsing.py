"""Pydantic's errors in words: file, line, field, what was expected and what was given."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, SecretStr, model_validator

from pgstead.errors import SpecError
from pgstead.spec import (
    Duration,
    Host,
    Location,
    Model,
    Port,
    Problems,
    Secret,
    Setting,
    SourceMap,
    Text,
    Version,
    parse,
)
from pgstead.spec.reader import read


class Item(Model):
    name: Text
    size: int = 1


class Circle(Model):
    kind: Literal["circle"]
    radius: int


class Square(Model):
    kind: Literal["square"]
    side: int


class Sample(Model):
    name: Text = "x"
    count: int = Field(3, ge=1, le=9)
    ratio: float = 1.0
    active: bool = True
    mode: Literal["on", "quorum"] = "quorum"
    auth: Secret | None = None
    version: Version | None = None
    wait: Duration = "1s"
    port: Port = 5432
    host: Host = "localhost"
    folder: Location | None = None
    items: tuple[Item, ...] = ()
    settings: dict[str, Setting] = Field({})
    section: Item | Literal[False] = False
    shape: Annotated[Circle | Square, Field(discriminator="kind")] | None = None
    limits: dict[str, tuple[int, ...]] = Field({})
    defaults: Circle = Field(default_factory=lambda: Circle(kind="circle", radius=1))

    @model_validator(mode="after")
    def _rule(self) -> Sample:
        if self.count == 9 and self.port == 9:
            raise Problems([(("count",), "9 beside port 9"), (("port",), "9 beside count 9")])
        return self


def sample(text: str) -> Sample:
    source = SourceMap("stack.yaml", Path("/stacks"))
    tree, marks = read(text, source)
    return parse(Sample, tree, SourceMap("stack.yaml", Path("/stacks"), marks))


def refusal_of(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        sample(text)
    assert caught.value.exit_code == 2
    return [line.removeprefix("stack.yaml:") for line in caught.value.message.splitlines()]


def test_values_are_frozen_and_of_their_type() -> None:
    made = sample(
        "version: 15\nfolder: data\nitems: [{name: a}]\nlimits: {a: [1, 2]}\nauth: word\n"
        "settings: {jit: off, work_mem: 4MB, port: 1, cost: 1.5, x: true}\ndefaults:\n"
    )
    assert made.version == "15"
    assert made.folder == Path("/stacks/data")
    assert made.items == (Item(name="a"),)
    assert made.limits == {"a": (1, 2)}
    assert made.settings == {"jit": "off", "work_mem": "4MB", "port": 1, "cost": 1.5, "x": True}
    assert made.auth == SecretStr("word")
    assert made.defaults.radius == 1
    with pytest.raises(ValueError, match="frozen"):
        made.name = "y"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("nam: x", "1: nam: unknown key; did you mean name?"),
        ("items:\n  - nmae: x\n    name: y", "2: items[0].nmae: unknown key; did you mean name?"),
        ("items:\n  - size: 1", "2: items[0].name: this key is required"),
        ("count: '3'", '1: count: expected a whole number, given "3"'),
        ("count: 3.0", "1: count: expected a whole number, given 3.0"),
        ("count: true", "1: count: expected a whole number, given true"),
        ("count: 12", "1: count: must be at most 9, given 12"),
        ("count:", "1: count: expected a whole number, given nothing"),
        ("active: yes", '1: active: expected true or false, given "yes"'),
        ("active: 1", "1: active: expected true or false, given 1"),
        ("name: 15", "1: name: expected text, given 15"),
        ("name: [a]", "1: name: expected text, given a list"),
        ("name: {a: 1}", "1: name: expected text, given a mapping"),
        ("mode: qourum", '1: mode: expected on or quorum, given "qourum"'),
        ("items: a", '1: items: expected a list, given "a"'),
        ("settings: 3", "1: settings: expected a mapping, given 3"),
        ("section: true", "1: section: expected a mapping or false, given true"),
        ("section: {name: x, sise: 2}", "1: section.sise: unknown key; did you mean size?"),
        ("shape: {radius: 1}", "1: shape.kind: this key is required"),
        ("shape: {kind: oval}", '1: shape.kind: expected circle or square, given "oval"'),
        ("shape: {kind: circle, side: 1, radius: 1}", "1: shape.side: unknown key"),
        ("shape: {kind: square, side: x}", '1: shape.side: expected a whole number, given "x"'),
        ("port: 70000", "1: port: must be at most 65535, given 70000"),
        ("wait: 3", "1: wait: must have a unit (us, ms, s, m, h or d), e.g. 300ms, given 3"),
        ("host: a_b", '1: host: must be a DNS name or an IP address, given "a_b"'),
        ("limits: {a: [1, x]}", '1: limits.a[1]: expected a whole number, given "x"'),
        ("name: [" + "x" * 70 + "]", "1: name: expected text, given a list"),
        ("count: " + "x" * 70, "1: count: expected a whole number, given text"),
    ],
)
def test_each_problem_is_said_in_one_line(text: str, line: str) -> None:
    lines = refusal_of(text)
    assert len(lines) == 1
    assert lines[0].startswith(line)


def test_all_problems_are_told_in_the_order_of_the_file() -> None:
    lines = refusal_of("shape: 3\nname: 1\nitems:\n- name: a\n- name: 2\ncount: 0\n")
    assert [line.partition(":")[0] for line in lines] == ["1", "2", "5", "6"]


def test_a_models_own_rules_point_at_its_fields() -> None:
    assert refusal_of("port: 9\ncount: 9\n") == [
        "1: port: 9 beside count 9",
        "2: count: 9 beside port 9",
    ]


def test_a_float_for_a_version_is_refused_since_15_10_is_15_1() -> None:
    assert 'in quotes, e.g. "15.10"' in refusal_of("version: 15.10")[0]


@pytest.mark.parametrize(
    "text",
    [
        "auth: 31337",
        "auth: [hunter2]",
        "auth: {hunter2x: hunter2}",
        "passwort: hunter2",
        "settings: {passwd: [hunter2]}",
        "settings: {api_token: {a: hunter2}}",
    ],
)
def test_no_secret_is_ever_shown(text: str) -> None:
    message = "\n".join(refusal_of(text))
    assert "31337" not in message
    assert "hunter2" not in message.replace("hunter2x", "")


@pytest.mark.parametrize("field", ["name", "mode", "count", "wait", "host", "folder", "section"])
def test_a_secret_in_a_plain_field_is_refused_without_showing_it(field: str) -> None:
    tree: dict[str, Any] = {field: SecretStr("hunter2")}
    with pytest.raises(SpecError) as caught:
        parse(Sample, tree, SourceMap("stack.yaml", Path()), ("modules", "m"))
    assert "a secret cannot be used here" in caught.value.message
    assert f"modules.m.{field}" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_secret_field_takes_what_a_secret_flowed_into() -> None:
    made = parse(Sample, {"auth": SecretStr("a")}, SourceMap("stack.yaml", Path()))
    assert made.auth == SecretStr("a")


def test_a_key_that_would_break_the_line_is_quoted() -> None:
    line = refusal_of('"a\\nb": 1')[0]
    assert line.startswith(r"1: 'a\nb': unknown key")
