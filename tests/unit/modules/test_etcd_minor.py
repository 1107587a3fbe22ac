"""Etcd goes one minor version at a time, and never back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pgstead.machine import Machine
from pgstead.membership import EtcdMember, TlsClient
from pgstead.modules.base import Context, Facts
from pgstead.modules.build import build
from pgstead.modules.fake import FakeMaterials
from pgstead.modules.parts.etcd_minor import minor_of, refused_minor
from pgstead.spec import from_tree

Tree = dict[str, Any]

KEY = "etcd/main"


def member(name: str = "etcd-1") -> EtcdMember:
    return EtcdMember("main", name, "10.0.0.1", TlsClient("ca", "crt", "key"))


def refusal(materials: FakeMaterials, program: str | None, data: str | None = None) -> str:
    """What is refused; `data` is what a member says of the cluster's version."""
    context = Context(Facts("local"), materials, etcd_version=lambda _member: data)
    return "; ".join(refused_minor(context, program, member()))


def kept(known: str) -> FakeMaterials:
    made = FakeMaterials()
    made.remember(KEY, known)
    return made


def test_a_new_cluster_takes_any_and_keeps_it() -> None:
    materials = FakeMaterials()
    assert refusal(materials, "3.4.23") == ""
    assert materials.remembered == {KEY: "3.4"}


@pytest.mark.parametrize("program", ["3.4.0", "3.4.30", "3.5.21"])
def test_its_own_and_the_next_run(program: str) -> None:
    assert refusal(kept("3.4"), program, "3.4.0") == ""


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("3.3.27", "etcd 3.3 cannot run on its data, which is etcd 3.4's: etcd does not go back"),
        ("3.6.0", "etcd is upgraded one minor version at a time; go to etcd 3.5 first"),
        ("3.7.1", "go to etcd 3.5 first"),
        ("4.0.0", "one minor version at a time"),
        ("2.3.8", "does not go back; use etcd 3.4 or 3.5"),
    ],
)
@pytest.mark.parametrize("said", [None, "3.4.0"])
def test_others_are_refused_whether_a_member_answers_or_not(
    program: str, words: str, said: str | None
) -> None:
    materials = kept("3.4")
    assert words in refusal(materials, program, said)
    assert materials.remembered == {KEY: "3.4"}


def test_an_upgrade_that_was_interrupted_is_judged_by_what_the_members_say() -> None:
    materials = kept("3.4")
    assert refusal(materials, "3.5.21", "3.4.0") == ""
    assert materials.remembered == {KEY: "3.4 3.5"}
    assert refusal(materials, "3.6.1", "3.4.0") != "", "one member still runs 3.4"
    assert refusal(materials, "3.4.23", "3.4.0") == "", "nothing is upgraded yet: back is fine"
    assert refusal(materials, "3.6.1", None) != "", "it may be so, where nobody tells"


def test_an_upgrade_that_is_done_is_the_base_of_the_next() -> None:
    materials = kept("3.4 3.5")
    assert refusal(materials, "3.5.21", "3.5.0") == ""
    assert materials.remembered == {KEY: "3.5"}
    assert refusal(materials, "3.6.1", "3.5.0") == ""
    assert "does not go back" in refusal(kept("3.5"), "3.4.23", "3.5.0")


def test_nobody_is_asked_while_nothing_changes() -> None:
    def asked(one: EtcdMember) -> str | None:
        raise AssertionError(one)

    context = Context(Facts("local"), kept("3.4"), etcd_version=asked)
    assert refused_minor(context, "3.4.30", member()) == ()
    assert refused_minor(context, None, member()) == ()


def test_a_program_whose_version_nobody_knows_keeps_what_is_known() -> None:
    materials = kept("3.4")
    assert refusal(materials, None) == ""
    assert materials.remembered == {KEY: "3.4"}
    assert refusal(FakeMaterials(), None) == ""


def test_a_stack_of_before_is_asked() -> None:
    materials = FakeMaterials()
    assert "go to etcd 3.5 first" in refusal(materials, "3.6.0", "3.4.0")
    assert materials.remembered == {KEY: "3.4"}


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("3.4.23", "3.4"),
        ("v3.5.21", "3.5"),
        ("v3.5.21/etcd-v3.5.21-linux-%ARCHITECTURE%.tar.gz", "3.5"),
        ("https://mirror.example.org/etcd-3.6.1.tgz", "3.6"),
        ("not_decided", "None"),
        (None, "None"),
    ],
)
def test_versions_are_read_out_of_texts(text: str | None, version: str) -> None:
    assert str(minor_of(text)) == version


def machine(materials: FakeMaterials, platform: str, etcd: Tree, **more: Any) -> Machine:
    members = [{"name": "etcd-1", "ip": "10.0.0.1"}]
    tree = {
        "source": "etcd-server",
        "name": "etcd-1",
        "ip": "10.0.0.1",
        "ca": "ca",
        "cluster": {"initial_members": members, "initial_token": "main"},
        **etcd,
    }
    stack = from_tree(
        {"name": "unit", "certificate_authorities": {"ca": {}}, "modules": {"etcd": tree}},
        folder=Path("/nowhere"),
        environ={},
    )
    versions: Mapping[str, str] = more.get("versions", {})
    (made,) = build(stack, Context(Facts(platform, versions), materials)).machines
    return made


def test_the_machine_carries_the_refusal() -> None:
    older = {"versions": {"etcd": "3.3.9"}}
    assert machine(kept("3.4"), "local", {}, **older).refused
    assert not machine(kept("3.4"), "local", {}, versions={"etcd": "3.4.23"}).refused


def test_on_guests_the_release_and_the_archive_count() -> None:
    assert machine(kept("3.4"), "memory", {"etcd_version": "3.6.1"}).refused
    assert not machine(kept("3.4"), "memory", {"etcd_version": "v3.5.1"}).refused
    archive = {"url": "https://x.example.org/etcd-v3.6.1-linux-amd64.tar.gz", "sha256": "0" * 64}
    assert machine(kept("3.4"), "memory", {"etcd_download": archive}).refused
    image = {"etcd_version": "3.6.1", "install_dependencies": False}
    assert not machine(kept("3.4"), "memory", image).refused
