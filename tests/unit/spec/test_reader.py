"""YAML and JSON to plain values, strictly, with the line of every problem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pgstead.errors import SpecError
from pgstead.spec.reader import read
from pgstead.spec.scalars import resolve
from pgstead.spec.source import SourceMap

SOURCE = SourceMap("stack.yaml", Path("/stacks"))


def tree_of(text: str) -> dict[str, Any]:
    return read(text, SOURCE)[0]


def refusal_of(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        read(text, SOURCE)
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("off", "off"),
        ("~", None),
        ("", None),
        ("15", 15),
        ("-3", -3),
        ("0x1F", 31),
        ("0o17", 15),
        ("0755", "0755"),
        ("1_000", "1_000"),
        ("10:30", "10:30"),
        ("2026-01-01", "2026-01-01"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        (".inf", ".inf"),
        ("1e999", "1e999"),
        (".e5", ".e5"),
        (".", "."),
        ("-", "-"),
        ("9" * 5000, "9" * 5000),
        ("1.2.3", "1.2.3"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_plain_scalar_is_what_it_looks_like(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_quoted_scalars_and_keys_stay_text() -> None:
    assert tree_of("a: '15'\nb: \"true\"\non: |\n  x\n1: !!str 2\n") == {
        "a": "15",
        "b": "true",
        "on": "x\n",
        "1": "2",
    }


def test_json_is_taken_too_with_tabs_and_escapes() -> None:
    text = '{\n\t"name":\t"x",\n\t"list": [1, {"a": null}],\n\t"face": "\\ud83d\\ude00\\/"\n}'
    assert tree_of(text) == {"name": "x", "list": [1, {"a": None}], "face": "\U0001f600/"}


def test_an_escaped_backslash_is_not_the_start_of_a_surrogate() -> None:
    assert tree_of('{"a": "\\\\ud83d\\\\ude00"}') == {"a": "\\ud83d\\ude00"}


def test_every_key_and_item_has_its_line() -> None:
    tree, marks = read("a:\n  b: 1\n  c:\n    - x\n    - y: 2\nd: 3\n", SOURCE)
    where = SourceMap("stack.yaml", Path(), marks).where
    assert tree["a"]["c"][1] == {"y": 2}
    assert where(("a", "b")) == "stack.yaml:2"
    assert where(("a", "c", 0)) == "stack.yaml:4"
    assert where(("a", "c", 1, "y")) == "stack.yaml:5"
    assert where(("a", "nothing", "below")) == "stack.yaml:1"
    assert where(("d",)) == "stack.yaml:6"


def test_a_duplicate_key_names_both_lines() -> None:
    message = refusal_of("a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert message == "stack.yaml:4: a.b: this key was given before, on line 2"


def test_aliases_and_merges_are_copies() -> None:
    text = "base: &base {a: 1, b: 2}\none:\n  <<: *base\n  b: 3\ntwo: {<<: [*base, {c: 4}]}\n"
    tree = tree_of(text)
    assert tree["one"] == {"a": 1, "b": 3}
    assert tree["two"] == {"a": 1, "b": 2, "c": 4}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "stack.yaml:1: the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("- a\n", "a stack file is a mapping"),
        ("text\n", "a stack file is a mapping"),
        ("a: 1\n---\nb: 2\n", "stack.yaml:2: a stack file is one document"),
        ("a: [1\nb: 2", "stack.yaml:2:2: this is not valid YAML"),
        ("a: b: c", "stack.yaml:1:5: this is not valid YAML: mapping values are not allowed"),
        ("\ta: 1", "stack.yaml:1:1: this is not valid YAML"),
        ("a: 1\nb: \x01", "stack.yaml:2: the character U+0001"),
        ("a: 1\nb: \ud800", "stack.yaml:2: the character U+D800"),
        ("a: !!python/object:os.system x", "is not supported"),
        ("a: !custom x", "the YAML tag !custom is not supported"),
        ("a: *x", "stack.yaml:1: a: the alias *x has no anchor"),
        ("a: &x [*x]", "the alias *x has no anchor"),
        ("? [1]\n: 2", "a key must be plain text"),
        ("a:\n  <<: 3", "`<<` merges mappings"),
        ("a: " + "[" * 100_000, "nested more than 40 levels"),
        ("a: " + "{b: " * 100 + "1" + "}" * 100, "nested more than 40 levels"),
    ],
)
def test_what_is_no_stack_file_is_refused(text: str, words: str) -> None:
    assert words in refusal_of(text)


def test_aliases_cannot_fill_the_memory() -> None:
    lines = ["a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    for below, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]")
    assert "makes the file too large" in refusal_of("\n".join(lines))


def test_aliases_cannot_nest_without_end() -> None:
    lines = ["a0: &a0 [1]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60))]
    assert "makes the file too large" in refusal_of("\n".join(lines))
