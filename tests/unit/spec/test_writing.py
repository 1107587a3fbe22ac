"""Expanding prints a stack file that is valid itself and means the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pgstead.spec import Stack, expand, loads


def stack(text: str, **environ: str) -> Stack:
    return loads(text, folder=Path("/stacks"), environ=environ)


def assert_same(one: Stack, other: Stack) -> None:
    assert one.modules == other.modules
    assert list(one.modules) == list(other.modules)
    assert one.passwords == other.passwords
    assert one.certificate_authorities == other.certificate_authorities
    assert (one.name, one.platform, one.state, one.production) == (
        other.name,
        other.platform,
        other.state,
        other.production,
    )


def test_an_expanded_cluster_is_a_stack_file_that_means_the_same() -> None:
    made = stack("name: x\nplatform: {kind: local}\ncluster: {postgres: {version: 15}}\n")
    text = expand(made)
    again = stack(text)
    assert_same(made, again)
    assert expand(again) == text
    assert yaml.safe_load(text)["modules"]["postgres-1"]["postgres"]["version"] == "15"
    assert "cluster:\n  postgres" not in text


def test_no_secret_and_no_variable_is_written_out() -> None:
    text = (
        "name: x\nstate: {url: '${env:STATE}'}\npasswords: {superuser: {value: '${env:WORD}'}}\n"
        "cluster: {postgres: {parameters: {archive_command: 'put ${env:WORD}'}}}\n"
    )
    environ = {"STATE": "postgresql://u:hunter2@h/d", "WORD": "hunter2"}
    made = stack(text, **environ)
    written = expand(made)
    assert "hunter2" not in written
    assert_same(made, stack(written, **environ))


@pytest.mark.parametrize(
    "value",
    [
        "15",
        "1e3",
        "yes",
        "off",
        "null",
        "~",
        "",
        "0755",
        "10:30",
        "2026-01-01",
        "a: b",
        "# no comment",
        " padded ",
        "line\nline\n",
        "line\n\n  indented\n",
        "line",
        "tab\there",
        "-----BEGIN X-----\nMII=\n-----END X-----\n",
        "no break at the end\nof this",
        "\n",
        "ends with blank \n",
        "<<",
        "=",
        "*alias",
        "&anchor",
        "!tag",
        "@at",
        "`tick",
        "%percent",
        "{brace",
        "ünïcode \U0001f600 \u2028 \x85",
        '"quoted"',
        "it's",
        "$${literal} ${env:N}",
        "x" * 3000 + " y" * 500,
    ],
)
def test_every_text_is_read_back_as_it_was(value: str) -> None:
    tree = {"source": "etcd-server", "a": value, "b": [value, value], "c": {"d": value}}
    text = json.dumps({"name": "x", "modules": {"m": tree}})
    made = stack(text, N="1")
    written = expand(made)
    assert_same(made, stack(written, N="1"))
    assert yaml.safe_load(written)["modules"]["m"]["a"] == value


def test_keys_and_other_types_are_read_back_too() -> None:
    text = "name: x\nmodules:\n  m: {source: s, on: 1, '1': [1.5, null, true, []], e: {}}\n"
    made = stack(text)
    assert_same(made, stack(expand(made)))


def test_no_modules_at_all() -> None:
    made = stack("name: x\nmodules: {}\n")
    assert_same(made, stack(expand(made)))
