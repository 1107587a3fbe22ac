"""What a sentinel is told of a cluster, and the machine that carries it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pgstead.clusters import lowering
from pgstead.clusters.groups import group
from pgstead.errors import StateError
from pgstead.machine import Machine, Software
from pgstead.membership import (
    EtcdAccess,
    EtcdMember,
    EtcdUser,
    Membership,
    PatroniMember,
    PostgresAccess,
    Role,
    TlsClient,
    Watcher,
)
from pgstead.sentinel import service
from pgstead.sentinel.target import Target, targets

TLS = TlsClient("ca", "certificate", "key")
USER = EtcdUser("sentinel", "made-up", write_keys=("/service/main/leader",))
STAGE = service.Stage("/srv", "stack", "1234")


def machine(name: str, membership: Membership) -> Machine:
    return Machine(name, name, "127.9.0.1", Software(), membership)


def etcd(*users: EtcdUser) -> Machine:
    access = EtcdAccess("root-secret", users)
    return machine("etcd-1", EtcdMember("main", "etcd-1", "127.9.0.9", TLS, access=access))


def patroni(number: int) -> Machine:
    member = PatroniMember(
        "main",
        "/service/",
        f"member-{number}",
        f"127.9.0.{number}",
        TLS,
        {},
        PostgresAccess((Role("postgres", "x"),)),
        etcd_cluster="main",
    )
    return machine(f"pg-{number}", member)


def found(*machines: Machine) -> tuple[Target, ...]:
    return targets(group(machines))


def test_a_cluster_of_several_members_with_a_user_for_it() -> None:
    (target,) = found(etcd(USER), patroni(1), patroni(2))
    assert target.prefix == "/service/main/"
    assert target.machine_of == {"member-1": "pg-1", "member-2": "pg-2"}
    assert target.endpoints == (("127.9.0.9", 2379),)
    assert target.password == "made-up"
    assert Target.from_json(json.loads(json.dumps(target.to_json()))) == target
    assert "made-up" not in repr(target)
    assert "key" not in repr(target.patroni_tls)


@pytest.mark.parametrize(
    "machines",
    [
        (etcd(USER), patroni(1)),
        (etcd(), patroni(1), patroni(2)),
        (etcd(replace(USER, name="other")), patroni(1), patroni(2)),
        (etcd(replace(USER, write_keys=("/service/other/leader",))), patroni(1), patroni(2)),
        (patroni(1), patroni(2)),
    ],
)
def test_what_cannot_be_watched(machines: tuple[Machine, ...]) -> None:
    assert found(*machines) == ()


def test_its_machine_comes_after_all_that_it_watches() -> None:
    watched = (etcd(USER), patroni(1), patroni(2))
    made = service.machine(found(*watched)[0], STAGE, "sentinel")
    assert made.membership == Watcher("main")
    order = lowering.order((*watched, made))
    assert order["machine.sentinel"] == ("patroni.main", "postgres.main")


def test_its_file_is_secret_and_says_everything() -> None:
    made = service.machine(found(etcd(USER), patroni(1), patroni(2))[0], STAGE, "sentinel")
    (file,) = made.software.files
    assert (file.secret, file.mode) == (True, 0o600)
    said = json.loads(file.content)
    assert said["stage"]["stack_id"] == "1234"
    assert Target.from_json(said["target"]).password == "made-up"
    (one,) = made.software.services
    assert "made-up" not in " ".join(one.command)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 99}'])
def test_a_file_that_is_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "sentinel.json"
    path.write_text(text)
    with pytest.raises(StateError, match=r"sentinel\.json"):
        service.run(path)
