from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, SecretStr


class Inner(BaseModel):
    """Within."""

    count: int = Field(default=3, ge=1, le=9, description="How many.")
    token: SecretStr | None = Field(default=None, description="What is said.")


class Left(BaseModel):
    """One form."""

    kind: Literal["left"] = Field(default="left", description="This way.")


class Right(BaseModel):
    """The other form."""

    kind: Literal["right"] = Field(default="right", description="That way.")
    far: bool = Field(description="Whether it is far.")


class Outer(BaseModel):
    """Around."""

    one: Inner = Field(default_factory=Inner, description="One.")
    set: Inner = Field(default=Inner(count=5), description="One that is set.")
    many: tuple[Inner, ...] = Field(default=(), description="Several.")
    named: dict[str, Inner] = Field(default={}, description="By name.")
    way: Left | Right = Field(default=Left(), description="A choice | of two.")


@pytest.fixture
def found(script: Callable[[str], Any]) -> dict[str, Any]:
    return {key.name: key for key in script("scripts/reference.py").keys(Outer)}


def test_keys_of_models_within_have_their_whole_name(found: dict[str, Any]) -> None:
    for name in ("one.count", "many[].count", "named.NAME.count", "way.far"):
        assert name in found


def test_a_type_is_said_in_words(found: dict[str, Any]) -> None:
    assert found["one.count"].type == "integer, 1 or more, 9 at most"
    assert found["one.token"].type == "secret text"
    assert found["many"].type == "list of: mapping"
    assert found["named"].type == "names, each with: mapping"


def test_a_default_is_said_where_it_is_the_key_s_own(found: dict[str, Any]) -> None:
    assert found["one.count"].default == "`3`"
    assert found["one"].default == ""
    assert found["set"].default == '`{"count": 5}`'
    assert found["way.far"].default == "*required*"


def test_a_key_of_two_forms_stands_once(found: dict[str, Any]) -> None:
    assert found["way.kind"].type == "`left` or `right`"
    assert found["way.kind"].description == "`left`: This way. `right`: That way."


def test_a_table_cell_stays_one_cell(script: Callable[[str], Any]) -> None:
    line = next(
        line
        for line in script("scripts/reference.py").table(Outer).splitlines()
        if line.startswith("| `way`")
    )
    assert "A choice \\| of two." in line


def test_every_key_of_a_stack_file_has_a_meaning(script: Callable[[str], Any]) -> None:
    reference = script("scripts/reference.py")
    without = [
        f"{section.title}: {key.name}"
        for section in reference.sections()
        for key in reference.keys(section.model)
        if not key.description
    ]
    assert without == []


def test_the_written_reference_is_current(script: Callable[[str], Any], project: Path) -> None:
    written = (project / "docs" / "stack-file.md").read_text("utf-8")
    assert written == script("scripts/reference.py").text(), "run: make docs"
