"""Machines found by their domains' metadata, on libvirt's own driver for tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("libvirt")

from pgstead.platforms.base import Found
from pgstead.platforms.libvirt import finding
from pgstead.platforms.libvirt.connection import Host, Hosts
from pgstead.platforms.libvirt.ground import Ground
from pgstead.platforms.libvirt.metadata import URI, escaped
from pgstead.platforms.libvirt.naming import Naming

OURS = Naming("shop", "0a1b2c3d", "x-")


@pytest.fixture
def host() -> Iterator[Host]:
    # A world that lives for as long as any connection of this process to it is open.
    made = Host("kvm1", "test:///default", "default-pool", "default", None, None)
    _clear(made)
    yield made
    _clear(made)
    made.close()


def _clear(host: Host) -> None:
    for domain in host.connection.listAllDomains():
        if domain.name() != "test":
            domain.undefine()
    for one in host.connection.storagePoolLookupByName("default-pool").listAllVolumes():
        one.delete()


def define(host: Host, naming: Naming, machine: str, **changes: Any) -> None:
    about = {
        "stack": naming.stack,
        "stack_id": naming.stack_id,
        "machine": machine,
        "addresses": ["10.0.0.7", "10.1.0.7"],
        **changes,
    }
    domain_id = changes.get("uuid") or naming.uuid("domain", machine)
    host.connection.defineXML(
        f"<domain type='test'><name>{naming.domain(machine)}{domain_id[:4]}</name>"
        f"<uuid>{domain_id}</uuid><memory>1024</memory><os><type>hvm</type></os>"
        f"<metadata><p:machine xmlns:p='{URI}'>{escaped(about)}</p:machine></metadata></domain>"
    )


def volume(host: Host, name: str) -> None:
    pool = host.connection.storagePoolLookupByName("default-pool")
    pool.createXML(f"<volume><name>{name}</name><capacity>1024</capacity></volume>")


def found(host: Host) -> tuple[Found, ...]:
    ground = SimpleNamespace(naming=replace(OURS, stack_id="ffffffff"), hosts=Hosts({"kvm1": host}))
    return finding.found(cast("Ground", ground))


def test_a_machine_is_found_by_what_its_domain_says(host: Host) -> None:
    define(host, OURS, "etcd-1")
    for use in ("os", "data"):
        volume(host, OURS.volume("etcd-1", use))
    volume(host, OURS.volume("etcd-1", "data") + ".2")
    volume(host, replace(OURS, stack_id="99999999").volume("etcd-1", "os"))
    (one,) = found(host)
    assert (one.machine, one.stack_id, one.address) == ("etcd-1", "0a1b2c3d", "10.0.0.7")
    assert one.holds_data
    assert one.place["uuid"] == OURS.uuid("domain", "etcd-1")
    assert (one.place["host"], one.place["machine"]) == ("kvm1", "etcd-1")
    assert one.place["volumes"] == {
        "os": ["default-pool", OURS.volume("etcd-1", "os")],
        "data": ["default-pool", OURS.volume("etcd-1", "data")],
    }


def test_stacks_of_one_name_are_told_apart(host: Host) -> None:
    define(host, OURS, "etcd-1")
    define(host, replace(OURS, stack_id="99999999"), "etcd-1")
    assert sorted(one.stack_id for one in found(host)) == ["0a1b2c3d", "99999999"]
    assert not any(one.holds_data for one in found(host))


def test_what_is_not_this_stacks_is_left_alone(host: Host) -> None:
    define(host, replace(OURS, stack="other"), "etcd-1")
    assert found(host) == ()


def test_a_copy_made_by_hand_is_no_machine(host: Host) -> None:
    define(host, OURS, "etcd-1")
    define(host, OURS, "etcd-1", uuid="6b2f4c2e-6c1b-5c52-9d3a-4c9f2c1f7a56")
    assert len(found(host)) == 1
