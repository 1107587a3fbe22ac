"""What security groups let in: what machines serve, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from pgstead.machine import Machine, Probe, Service
from pgstead.membership import (
    EtcdMember,
    LoadBalancer,
    Membership,
    PatroniMember,
    PostgresAccess,
    StandaloneServer,
    TlsClient,
)
from pgstead.platforms.openstack.roles import Wanted, cluster, rules
from support.machines import machine

TLS = TlsClient("", "", "")
ACCESS = PostgresAccess(roles=())
OFFICE = "192.0.2.0/24"


def of(name: str, membership: Membership, port: int | None = None) -> Machine:
    made = replace(machine(name), membership=membership)
    services = () if port is None else (Service("more", ("more",), ready=Probe(port)),)
    return replace(made, software=replace(made.software, services=services))


ETCD = of("etcd-1", EtcdMember("shop", "etcd-1", "10.0.0.1", TLS))
POSTGRES = of(
    "postgres-1", PatroniMember("shop", "/", "postgres-1", "10.0.0.2", TLS, {}, ACCESS), 4443
)
BALANCER = of("lb-1", LoadBalancer("lb-1", "10.0.0.3", TLS, read_only_port=None))


def test_a_cluster_lets_its_parts_and_its_users_in() -> None:
    found = rules([ETCD, POSTGRES, BALANCER], [OFFICE], ssh=True)
    ssh = Wanted(22, network=OFFICE)
    assert found["etcd"] == {
        ssh,
        Wanted(2379, network=OFFICE),
        Wanted(2379, role="etcd"),
        Wanted(2379, role="postgres"),
        Wanted(2380, role="etcd"),
    }, "peers are nobody else's business"
    assert found["postgres"] == {
        ssh,
        *(Wanted(port, network=OFFICE) for port in (5432, 4443)),
        *(
            Wanted(port, role=role)
            for port in (5432, 4443)
            for role in ("postgres", "load-balancer")
        ),
    }
    assert found["load-balancer"] == {
        ssh,
        *(Wanted(port, network=OFFICE) for port in (5432, 4443, 8404)),
    }


def test_roles_that_are_not_there_and_ssh_that_is_not_used_are_not_let_in() -> None:
    (found,) = rules([ETCD], [OFFICE], ssh=False).values()
    assert found == {
        Wanted(2379, network=OFFICE),
        Wanted(2379, role="etcd"),
        Wanted(2380, role="etcd"),
    }


def test_other_services_that_are_waited_for_are_let_in() -> None:
    alone = of("one", StandaloneServer("one", "10.0.0.4", "", ACCESS), 9999)
    (found,) = rules([alone], [OFFICE], ssh=False).values()
    assert {one.port for one in found} == {5432, 9999}


def test_services_that_are_not_waited_for_are_let_in_where_they_serve() -> None:
    silent, metrics = Service("chrony", ("chronyd",)), Service("metrics", ("metrics",), port=9100)
    alone = of("one", StandaloneServer("one", "10.0.0.4", "", ACCESS))
    served = replace(alone, software=replace(alone.software, services=(silent, metrics)))
    (found,) = rules([served], [OFFICE], ssh=False).values()
    assert found == {Wanted(5432, network=OFFICE), Wanted(9100, network=OFFICE)}


def test_the_members_of_one_cluster_are_kept_apart() -> None:
    assert cluster(ETCD) == "etcd-shop"
    assert cluster(POSTGRES) == "postgres-shop"
    alone = of("one", StandaloneServer("one", "10.0.0.4", "", ACCESS))
    assert cluster(alone) is None, "there is nobody to be kept apart from"
