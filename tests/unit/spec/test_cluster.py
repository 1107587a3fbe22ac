"""Clusters: what is refused and why, what is warned about, and what they expand to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgstead.errors import SpecError
from pgstead.spec import Stack, loads


def stack(cluster: str) -> Stack:
    return loads(f"name: shop\ncluster: {{{cluster}}}\n", folder=Path("/stacks"), environ={})


def refusal_of(cluster: str) -> str:
    with pytest.raises(SpecError) as caught:
        stack(cluster)
    return caught.value.message


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        (
            "postgres: {members: 1, synchronous: {strict: true}}",
            "cluster.postgres.synchronous: strict synchronous replication needs a standby",
        ),
        (
            "postgres: {members: 3, synchronous: {node_count: 3}}",
            "cluster.postgres.synchronous.node_count: 3 standbys cannot confirm a write",
        ),
        ("postgres: {members: 0}", "cluster.postgres.members: must be at least 1, given 0"),
        ("postgres: {members: 10}", "cluster.postgres.members: must be at most 9, given 10"),
        ("etcd: {members: 8}", "cluster.etcd.members: must be at most 7, given 8"),
        ("timings: {ttl: 19}", "cluster.timings.ttl: must be at least 20, given 19"),
        ("timings: {retry_timeout: 10}", "1 + 2 x 10 = 21, given 20"),
        ("timings: {etcd: {heartbeat_interval: 200}}", "5 x heartbeat_interval = 1000 ms"),
        ("postgres: {parameters: {ssl_cert_file: x}}", "parameters.ssl_cert_file: is pgstead's"),
        ("postgres: {parameters: {Port: 1}}", "parameters.Port: is pgstead's"),
        (
            "postgres: {parameters: {synchronous_standby_names: x}}",
            "use cluster.postgres.synchronous",
        ),
        ("postgres: {parameters: {tcp_user_timeout: 1}}", "use cluster.timings.tcp.user_timeout"),
        ("postgres: {parameters: {recovery_target: x}}", "recovery_target: is Patroni's"),
        ("postgres: {parameters: {wal_level: minimal}}", "must be replica or logical"),
        ("postgres: {parameters: {max_connections: 5}}", "must be at least 25, given 5"),
        ("postgres: {parameters: {synchronous_commit: off}}", "before a standby has them"),
        ("postgres: {parameters: {synchronous_commit: false}}", "before a standby has them"),
        ("postgres: {parameters: {'a b': 1}}", "is not the name of a PostgreSQL parameter"),
        ("postgres: {parameters: {jit: 1, JIT: 2}}", "was given before, in other letters"),
        ("postgres: {application: {role: postgres}}", "is not an application's"),
        ("postgres: {application: {database: template1}}", "is PostgreSQL's own"),
        ("postgres: {application: {role: My-App}}", "lower-case letters, digits and underscores"),
        ("postgres: {pg_hba: []}", "must have at least 1 items"),
        ("etcd: {auto_compaction_mode: revision}", "must be a number of revisions"),
        ("etcd: {auto_compaction_retention: 5}", "must be a time span"),
        ("load_balancer: {api: {port: 5433}}", "5433 is read_only's port already"),
        ("load_balancer: {statistics: {port: 5432}}", "5432 is the primary's port already"),
    ],
)
def test_an_impossible_cluster_is_refused_with_the_reason(cluster: str, words: str) -> None:
    message = refusal_of(cluster)
    assert words in message
    assert message.startswith("pgstead.yaml:2: cluster.")


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        ("etcd: {members: 2}", "cluster.etcd.members: 2 etcd members bear the loss of no more"),
        ("etcd: {members: 4}", "best 5"),
        ("etcd: {members: 1}", "1 etcd member: the cluster stands still"),
        ("postgres: {members: 1}", "1 PostgreSQL member: nothing takes over"),
        ("postgres: {members: 2}", "writes wait while any one of them is away"),
        ("postgres: {parameters: {fsync: off}}", "can destroy its data"),
        ("postgres: {maximum_lag_on_failover: 5}", "has no effect"),
    ],
)
def test_a_risky_cluster_is_warned_about(cluster: str, words: str) -> None:
    (warning,) = stack(cluster).warnings
    assert warning.startswith("pgstead.yaml:2: cluster.")
    assert words in warning


def test_the_default_is_three_of_each_and_loses_nothing() -> None:
    made = stack("")
    assert made.warnings == ()
    assert list(made.modules) == [
        *(f"etcd-{n}" for n in (1, 2, 3)),
        *(f"postgres-{n}" for n in (1, 2, 3)),
        "load-balancer-1",
    ]
    patroni = made.modules["postgres-2"].variables["patroni"]
    assert patroni["name"] == "postgres-2"
    assert patroni["scope"] == "shop"
    assert patroni["is_synchronous"] is True
    assert patroni["synchronous_settings"] == {
        "strict": True,
        "synchronous_node_count": 1,
        "mode": "quorum",
    }
    assert list(made.certificate_authorities) == ["shop"]


def test_one_member_is_asynchronous_by_default() -> None:
    patroni = stack("postgres: {members: 1}").modules["postgres-1"].variables["patroni"]
    assert patroni["is_synchronous"] is False
    assert patroni["asynchronous_settings"] == {"maximum_lag_on_failover": 1048576}


def test_only_the_first_etcd_member_bootstraps_authentication() -> None:
    modules = stack("").modules
    access = [modules[f"etcd-{n}"].variables["authentication_bootstrap"] for n in (1, 2, 3)]
    assert [one["bootstrap"] for one in access] == [True, False, False]
    assert access[0]["users"] == [
        {
            "name": "patroni",
            "password": "${passwords.etcd-patroni}",
            "prefixes": ["/service/shop/"],
        },
        {
            "name": "sentinel",
            "password": "${passwords.etcd-sentinel}",
            "prefixes": ["/pgstead/sentinel/shop/"],
            "read_prefixes": ["/service/shop/"],
            "write_keys": ["/service/shop/leader"],
        },
    ]
    assert "users" not in access[1]


def test_growing_leaves_the_other_members_alone() -> None:
    small, large = stack("postgres: {members: 3}"), stack("postgres: {members: 5}")
    assert set(large.modules) - set(small.modules) == {"postgres-4", "postgres-5"}
    assert large.modules["postgres-1"] == small.modules["postgres-1"]
    assert large.modules["etcd-1"] == small.modules["etcd-1"]


def test_timings_become_parameters_in_postgresqls_units() -> None:
    made = stack(
        "timings: {wal_sender_timeout: 1m, tcp: {user_timeout: 7000}},"
        "postgres: {version: 15, parameters: {jit: true, work_mem: 4MB, max_connections: 200}}"
    )
    postgres = made.modules["postgres-1"].variables["postgres"]
    params = {one["key"]: one["value"] for one in postgres["params"]}
    assert postgres["version"] == "15"
    assert params["wal_sender_timeout"] == "1min"
    assert params["tcp_user_timeout"] == "7000"
    assert params["jit"] == "on"
    assert params["max_connections"] == "200"
    assert list(params)[-3:] == ["jit", "work_mem", "max_connections"]


def test_etcds_time_spans_know_no_days() -> None:
    etcd = stack("etcd: {auto_compaction_retention: 2d}").modules["etcd-1"].variables["etcd"]
    assert etcd["auto_compaction_retention"] == "48h"


def test_no_load_balancer_is_fine() -> None:
    made = stack("load_balancer: {members: 0}, postgres: {names: [db.example.org]}")
    assert not any(key.startswith("load") for key in made.modules)
    assert made.modules["postgres-1"].variables["certificate_names"] == ["db.example.org"]


def test_lines_of_an_expanded_module_lead_to_its_part_of_the_cluster() -> None:
    text = "name: shop\ncluster:\n  etcd: {members: 3}\n  postgres:\n    pg_hba: [x]\n"
    where = loads(text, folder=Path("/stacks")).source.where
    assert where(("modules", "etcd-2", "etcd", "space_quota")) == "pgstead.yaml:3"
    assert where(("modules", "postgres-1", "postgres", "pg_hba", 0)) == "pgstead.yaml:5"
    assert where(("modules", "load-balancer-1", "haproxy")) == "pgstead.yaml:2"
