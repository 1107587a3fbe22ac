from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pgstead.clusters import lowering, places
from pgstead.clusters.groups import group
from pgstead.engine.resource import Resource
from pgstead.machine import Machine, OnChange, Software
from pgstead.membership import (
    Database,
    EtcdAccess,
    EtcdMember,
    EtcdUser,
    LoadBalancer,
    Membership,
    PatroniMember,
    PostgresAccess,
    Role,
    StandaloneServer,
    TlsClient,
)

TLS = TlsClient("ca", "crt", "key")
SETTINGS: Mapping[str, Any] = {"ttl": 20, "postgresql": {"parameters": {"shared_buffers": "1GB"}}}
ROLES = (
    Role("postgres", "super-secret", superuser=True, managed_by_patroni=True),
    Role("app", "app-secret"),
)
ACCESS = PostgresAccess(ROLES, (Database("app", "app"),))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def machine(name: str, membership: Membership) -> Machine:
    return Machine(name, name, "127.9.0.1", Software(), membership)


def etcd(name: str, access: EtcdAccess | None = None) -> Machine:
    return machine(name, EtcdMember("main", name, "127.9.0.1", TLS, access=access))


def patroni(name: str) -> Machine:
    member = PatroniMember(
        "main", "/service/", name, "127.9.0.2", TLS, SETTINGS, ACCESS, etcd_cluster="main"
    )
    return machine(name, member)


USERS = EtcdAccess("root-secret", (EtcdUser("patroni", "etcd-secret", ("/service/main/",)),))
STACK = (
    etcd("etcd-1", USERS),
    etcd("etcd-2"),
    patroni("pg-1"),
    patroni("pg-2"),
    machine("lb-1", LoadBalancer("lb-1", "127.9.0.3", TLS)),
    machine("alone", StandaloneServer("alone", "127.9.0.4", "ca", ACCESS)),
)


@pytest.fixture
def resources() -> dict[str, Resource]:
    return {resource.address: resource for resource in lowering.lower(STACK, digest)}


def test_a_resource_per_cluster_and_server(resources: dict[str, Resource]) -> None:
    assert {address: resource.after for address, resource in resources.items()} == {
        "etcd.main": ("machine.etcd-1", "machine.etcd-2"),
        "patroni.main": ("machine.pg-1", "machine.pg-2"),
        "postgres.main": ("machine.pg-1", "machine.pg-2"),
        "postgres.alone": ("machine.alone",),
    }


def test_no_secret_in_any_attribute(resources: dict[str, Resource]) -> None:
    text = repr([resource.attributes for resource in resources.values()]) + repr(resources)
    assert "secret" not in text


def test_etcd(resources: dict[str, Resource]) -> None:
    assert resources["etcd.main"].values == {
        "authentication": "on",
        "user:patroni": digest("etcd-secret"),
        "user:root": digest("root-secret"),
        "prefixes:patroni": "/service/main/",
    }


def test_without_an_administrators_password_only_authentication_is_compared() -> None:
    (found,) = lowering.lower([etcd("etcd-1", EtcdAccess(None))], digest)
    assert found.values == {"authentication": "on"}
    own = EtcdAccess(None, operator_password="own-secret")
    (found,) = lowering.lower([etcd("etcd-1", own)], digest)
    assert found.values == {"authentication": "on", "user:pgstead-operator": digest("own-secret")}
    assert lowering.lower([etcd("etcd-1")], digest) == ()


def test_patroni(resources: dict[str, Resource]) -> None:
    attributes = resources["patroni.main"].attributes
    assert {key: (a.value, a.on_change) for key, a in attributes.items()} == {
        "setting:ttl": (20, OnChange.RELOAD),
        "setting:postgresql.parameters.shared_buffers": ("1GB", OnChange.RESTART),
        "waiting_for_restart": ("none", OnChange.RESTART),
    }


def test_postgres(resources: dict[str, Resource]) -> None:
    content = {
        "password:postgres": digest("super-secret"),
        "password:app": digest("app-secret"),
        "rights:app": "login",
        "database:app": "app",
    }
    assert resources["postgres.main"].values == content
    assert resources["postgres.alone"].values == {**content, "waiting_for_restart:alone": "none"}


def test_only_patroni_waits_and_only_for_etcds_machines() -> None:
    etcds = tuple(f"machine.{one.name}" for one in STACK if isinstance(one.membership, EtcdMember))
    assert lowering.order(STACK) == {"machine.pg-1": etcds, "machine.pg-2": etcds}
    bare = [etcd("etcd-1"), patroni("pg-1")]
    assert lowering.order(bare) == {"machine.pg-1": ("machine.etcd-1",)}
    assert lowering.order([patroni("pg-1")]) == {}


def test_machines_are_annotated() -> None:
    made = [Resource(f"machine.{m.name}", "machine", {}, place={"id": "x"}) for m in STACK]
    found = {r.address: r for r in lowering.annotate(made, STACK)}
    pg, lb = found["machine.pg-1"], found["machine.lb-1"]
    assert pg.after == lowering.order(STACK)["machine.pg-1"]
    assert pg.place["cluster"] == "patroni.main"
    place = places.read(pg.place)
    assert place is not None
    assert (place.kind, place.group, place.prefix) == ("patroni", "main", "/service/main/")
    assert (lb.place, places.read(lb.place)) == ({"id": "x"}, None)
    (refused,) = lowering.annotate(made[:1], [replace(STACK[0], refused=("why",))])
    assert (pg.refused, refused.refused) == ((), ("why",))


def test_passwords_by_attribute() -> None:
    assert lowering.passwords(STACK[:3]) == {
        "etcd.main/user:patroni": "etcd-secret",
        "etcd.main/user:root": "root-secret",
        "postgres.main/password:postgres": "super-secret",
        "postgres.main/password:app": "app-secret",
    }


def test_members_are_found_by_their_machines() -> None:
    groups = group(STACK)
    scope = groups.patroni["main"]
    assert (scope.machine_of("pg-2"), scope.machine_of("x")) == ("pg-2", None)
    assert list(scope.without("pg-1").members) == ["pg-2"]
    assert groups.etcd["main"].access is USERS
    assert groups.etcd["main"].client().user == "root"
