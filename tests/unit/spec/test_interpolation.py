"""References: types, secrets, escapes and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pgstead.errors import SpecError
from pgstead.spec.interpolation import (
    Reference,
    UnknownName,
    gather,
    interpolate,
    references,
)
from pgstead.spec.source import SourceMap

OUTPUTS: dict[str, Any] = {
    "ip": "127.0.0.5",
    "port": 5432,
    "on": True,
    "list": ["a"],
    "none": None,
    "password": SecretStr("hunter2"),
}


def lookup(reference: Reference) -> Any:
    if reference.kind == "passwords":
        if reference.name != "etcd-root":
            raise UnknownName("password", reference.name, ["etcd-root"])
        return SecretStr("s3cret")
    if reference.output not in OUTPUTS:
        raise UnknownName("output", str(reference.output), OUTPUTS)
    return OUTPUTS[reference.output]


def resolved(tree: Any, folder: Path = Path("/nowhere"), **environ: str) -> Any:
    source = SourceMap("stack.yaml", folder)
    source = SourceMap("stack.yaml", folder, outside=gather(tree, source, environ))
    return interpolate(tree, lookup, source)


def refusal_of(tree: Any) -> str:
    with pytest.raises(SpecError) as caught:
        resolved(tree)
    return caught.value.message


def test_a_lone_reference_keeps_its_type() -> None:
    assert resolved({"a": "${modules.x.port}"}) == {"a": 5432}
    assert resolved(["${modules.x.on}", "${modules.x.list}"]) == [True, ["a"]]
    assert resolved("${modules.x.none}") is None


def test_inside_a_longer_text_scalars_become_text() -> None:
    assert resolved("${modules.x.ip}:${modules.x.port}/${modules.x.on}") == "127.0.0.5:5432/true"


def test_a_text_that_a_secret_flows_into_is_secret_as_a_whole() -> None:
    value = resolved("postgres://app:${passwords.etcd-root}@${modules.x.ip}")
    assert isinstance(value, SecretStr)
    assert value.get_secret_value() == "postgres://app:s3cret@127.0.0.5"
    assert isinstance(resolved("${modules.x.password}"), SecretStr)


def test_an_escape_is_a_literal() -> None:
    assert resolved("cp %p $${HOME}/%f") == "cp %p ${HOME}/%f"
    assert resolved("$${") == "${"
    assert resolved("costs 5$ and $x") == "costs 5$ and $x"


def test_files_and_variables_are_plain_text(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("KEY\n", encoding="utf-8")
    tree = {"a": "${file:key.pem}", "b": "${env:N}!", "c": "${env:N}"}
    assert resolved(tree, tmp_path, N="15") == {"a": "KEY", "b": "15!", "c": "15"}


def test_what_is_put_in_place_is_not_looked_at_again() -> None:
    assert resolved("${env:A}{modules.x.ip}", A="$") == "${modules.x.ip}"
    assert resolved("${env:A}", A="${modules.x.ip} $${") == "${modules.x.ip} $${"


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff")
    tree = {"a": f"${{file:{tmp_path}/bytes}}", "b": "${file:none}", "c": "${env:NONE}"}
    message = refusal_of({**tree, "d": "${env:}", "e": "${file:}", "f": "${file:~nobody-here/x}"})
    assert message.splitlines() == [
        f"stack.yaml:1: a: {tmp_path}/bytes is not UTF-8 text",
        "stack.yaml:1: b: cannot read /nowhere/none: No such file or directory",
        "stack.yaml:1: c: the environment variable NONE is not set",
        "stack.yaml:1: d: ${env:} names no variable",
        "stack.yaml:1: e: ${file:} names no file",
        (
            "stack.yaml:1: f: cannot read /nowhere/~nobody-here/x: "
            "Could not determine home directory."
        ),
    ]


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * ((1 << 20) + 1))
    assert "larger than 1024 KiB" in refusal_of(f"${{file:{tmp_path}/large}}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${modules.x.ipp}", "${modules.x.ipp}: there is no output ipp; did you mean ip?"),
        ("${passwords.etcd_root}", "there is no password etcd_root; did you mean etcd-root?"),
        ("${nonsense}", "${nonsense} is not a reference"),
        ("${modules.x}", "is not a reference"),
        ("${modules.x.ip", "no closing brace"),
        ("a ${modules.x.list}", "a list or a mapping, which cannot stand inside"),
        ("a ${modules.x.none}", "is nothing, which cannot stand inside"),
    ],
)
def test_a_wrong_reference_is_refused(text: str, words: str) -> None:
    assert words in refusal_of({"a": [text]})
    assert refusal_of({"a": [text]}).startswith("stack.yaml:1: a[0]: ")


def test_references_are_found_with_their_paths() -> None:
    tree = {"a": ["${modules.x.ip}:${passwords.p}", "$${modules.y.ip} ${env:N}"], "b": 1}
    assert list(references(tree, SourceMap("stack.yaml", Path()), ("modules", "k"))) == [
        (("modules", "k", "a", 0), Reference("modules", "x", "ip")),
        (("modules", "k", "a", 0), Reference("passwords", "p")),
    ]
    assert str(Reference("modules", "x", "ip")) == "${modules.x.ip}"
