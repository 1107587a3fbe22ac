from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import yaml

from pgstead.errors import SpecError
from pgstead.machine import Disk, Machine, OnChange, Package
from pgstead.membership import Database, PatroniMember
from pgstead.modules.build import Blueprint
from pgstead.modules.fake import FakeMaterials

Tree = dict[str, Any]
Make = Callable[..., Machine]
Build = Callable[..., Blueprint]


def _with(tree: Tree, part: str, **values: Any) -> Tree:
    changed = deepcopy(tree)
    changed[part] |= values
    return changed


def _member(machine: Machine) -> PatroniMember:
    assert isinstance(machine.membership, PatroniMember)
    return machine.membership


def _conf(machine: Machine) -> Tree:
    """What Patroni makes of its files, read in the alphabet's order."""
    conf: Tree = {}
    for file in sorted(machine.software.files, key=lambda file: file.path):
        if file.path.startswith("/etc/patroni/") and file.path.endswith(".yml"):
            conf |= yaml.safe_load(file.content)
    return conf


def test_the_defaults_are_those_of_old(make: Make, patroni: Tree) -> None:
    settings = _member(make(patroni)).settings
    assert settings == {
        "ttl": 60,
        "loop_wait": 5,
        "retry_timeout": 10,
        "primary_start_timeout": 300,
        "primary_stop_timeout": 300,
        "failsafe_mode": False,
        "synchronous_mode": True,
        "synchronous_mode_strict": True,
        "synchronous_node_count": 1,
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "parameters": {"password_encryption": "scram-sha-256"},
        },
    }


def test_bootstrap_says_the_same_as_the_membership(make: Make, patroni: Tree) -> None:
    machine = make(patroni)
    assert _conf(machine)["bootstrap"]["dcs"] == _member(machine).settings


def test_replication_by_quorum_and_without_synchrony(make: Make, patroni: Tree) -> None:
    quorum = {"strict": True, "synchronous_node_count": 2, "mode": "quorum"}
    settings = _member(make(_with(patroni, "patroni", synchronous_settings=quorum))).settings
    assert settings["synchronous_mode"] == "quorum"
    assert settings["synchronous_node_count"] == 2
    machine = make(_with(patroni, "patroni", is_synchronous=False))
    settings = _member(machine).settings
    assert settings["synchronous_mode"] is False
    assert settings["maximum_lag_on_failover"] == 1048576
    lag = {"maximum_lag_on_failover": 7}
    tree = _with(patroni, "patroni", is_synchronous=False, asynchronous_settings=lag)
    assert _member(make(tree)).settings["maximum_lag_on_failover"] == 7
    assert "synchronous_mode_strict" not in settings
    assert _conf(machine)["postgresql"]["remove_data_directory_on_rewind_failure"] is False


def test_what_a_change_of_a_file_takes(make: Make, patroni: Tree) -> None:
    files = {file.path: file for file in make(patroni).software.files}
    effects = {path: file.on_change for path, file in files.items() if path.endswith(".yml")}
    assert effects == {
        "/etc/patroni/bootstrap.yml": OnChange.CREATE_ONLY,
        "/etc/patroni/identity.yml": OnChange.REFUSE,
        "/etc/patroni/patroni.yml": OnChange.RELOAD,
    }
    secret = files["/etc/patroni/patroni.yml"]
    assert (secret.secret, secret.mode, secret.owner) == (True, 0o600, "postgres")
    passwords = [path for path, file in files.items() if "replicator\n" in file.content]
    assert [path for path in passwords if not files[path].secret] == []


def test_parameters_are_the_clusters_but_for_places(make: Make, patroni: Tree) -> None:
    params = [{"key": "Shared_Buffers", "value": "64MB"}, {"key": "max_connections", "value": 50}]
    machine = make(_with(patroni, "postgres", params=params))
    parameters = _member(machine).settings["postgresql"]["parameters"]
    assert parameters["shared_buffers"] == "64MB"
    assert parameters["max_connections"] == 50
    local = _conf(machine)["postgresql"]["parameters"]
    assert "shared_buffers" not in local
    assert local["ssl"] == "on"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("ssl", "managed by the module"),
        ("Listen_Addresses", "managed by the module"),
        ("synchronous_standby_names", "managed by Patroni"),
        ("primary_conninfo", "managed by Patroni"),
    ],
)
def test_managed_parameters_are_refused(key: str, words: str, make: Make, patroni: Tree) -> None:
    params = [{"key": key, "value": "x"}]
    with pytest.raises(SpecError, match=rf"postgres\.params.*{words}"):
        make(_with(patroni, "postgres", params=params))


def test_a_parameter_is_given_once(make: Make, patroni: Tree) -> None:
    params = [{"key": "work_mem", "value": "4MB"}, {"key": "WORK_MEM", "value": "5MB"}]
    with pytest.raises(SpecError, match="given twice"):
        make(_with(patroni, "postgres", params=params))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ttl": 19}, "at least 20"),
        ({"retry_timeout": 2}, "at least 3"),
        ({"loop_wait": 0}, "at least 1"),
        ({"scope": "a/b"}, "must match"),
        ({"synchronous_settings": {"mode": "sometimes"}}, "on or quorum"),
    ],
)
def test_what_cannot_work_is_refused(values: Tree, words: str, make: Make, patroni: Tree) -> None:
    with pytest.raises(SpecError, match=words):
        make(_with(patroni, "patroni", **values))


def test_logins_take_tls_and_scram(make: Make, patroni: Tree) -> None:
    assert _conf(make(patroni))["postgresql"]["pg_hba"] == [
        "local all all scram-sha-256",
        "hostssl replication replicator 127.0.0.0/8 scram-sha-256",
        "hostssl all all 127.0.0.0/8 scram-sha-256",
        "host replication all all reject",
        "host all all all reject",
    ]
    networks = ["10.0.0.0/8"]
    tree = _with(patroni, "postgres", allowed_networks=networks)
    assert _conf(make(tree, platform="memory"))["postgresql"]["pg_hba"] == [
        "local all postgres peer",
        "local all all scram-sha-256",
        "hostssl replication replicator 10.0.0.0/8 scram-sha-256",
        "hostssl all all 10.0.0.0/8 scram-sha-256",
        "host replication all all reject",
        "host all all all reject",
    ]


def test_own_lines_replace_those_of_the_module(make: Make, patroni: Tree) -> None:
    lines = ["hostssl all all 10.0.0.0/8 cert"]
    conf = _conf(make(_with(patroni, "postgres", pg_hba=lines)))
    assert conf["postgresql"]["pg_hba"] == lines
    with pytest.raises(SpecError, match="one line"):
        make(_with(patroni, "postgres", pg_hba=["a\nb"]))


def test_a_machine_of_its_own_has_a_watchdog(make: Make, patroni: Tree) -> None:
    assert _conf(make(patroni))["watchdog"] == {"mode": "off"}
    machine = make(patroni, platform="memory")
    assert _conf(machine)["watchdog"] == {
        "mode": "required",
        "device": "/dev/watchdog",
        "safety_margin": -1,
    }
    paths = [file.path for file in machine.software.files]
    assert "/etc/modules-load.d/pgstead.conf" in paths


def test_roles_and_databases_ride_on_the_member(make: Make, patroni: Tree) -> None:
    application = {"role": "app", "database": "store", "password": "app's"}
    tree = _with(patroni, "postgres", application=application, rewind_password="rewind's")
    access = _member(make(tree)).access
    assert [(one.name, one.managed_by_patroni) for one in access.roles] == [
        ("postgres", True),
        ("replicator", True),
        ("rewind", True),
        ("app", False),
    ]
    assert access.superuser.superuser
    assert access.databases == (Database("store", "app"),)
    users = _conf(make(tree))["postgresql"]["authentication"]
    assert users["rewind"]["password"] == "rewind's"
    given = tree["postgres"]
    assert users["superuser"]["password"] == given["superuser_password"] == "super"
    assert users["replication"]["password"] == given["replicator_password"] == "replicator"
    assert all(user["sslmode"] == "verify-full" for user in users.values())
    assert set(_conf(make(patroni))["postgresql"]["authentication"]) == {
        "superuser",
        "replication",
    }


def test_a_password_may_hold_anything(make: Make, patroni: Tree) -> None:
    odd = "a: 'b' \"c\" #d \\ {{ e }} \u2028 é"
    conf = _conf(make(_with(patroni, "etcd", username="u", password=odd)))
    assert conf["etcd3"]["password"] == odd


def test_data_that_was_not_synced_is_told(make: Make, patroni: Tree) -> None:
    machine = make(_with(patroni, "patroni", bootstrap_without_sync=True))
    assert _member(machine).sync_path == "/var/lib/postgresql/data"
    conf = _conf(machine)
    assert "no-sync" in conf["bootstrap"]["initdb"]
    assert "no-sync" in conf["postgresql"]["basebackup"]
    safe = make(patroni)
    assert _member(safe).sync_path is None
    assert "no-sync" not in str(_conf(safe))


def test_its_certificates(build_all: Build, patroni: Tree) -> None:
    materials = FakeMaterials()
    names = ["10.1.0.9", "db.example.org", "10.1.0.9"]
    build_all({"p": {**patroni, "certificate_names": names}}, materials=materials)
    server = materials.asked["p/server"]
    assert server.addresses == ("10.0.0.1", "10.1.0.9")
    assert server.names == ("postgres-1", "db.example.org")
    client = materials.asked["p/etcd-client"]
    assert (client.common_name, client.client, client.server) == (None, True, False)


GIVEN = {
    "postgres": {"ca_certificate": "A", "server_certificate": "B", "server_key": "C"},
    "etcd": {"ca_cert": "D"},
    "patroni": {"client_certificate": "E", "client_key": "F"},
}


def _given(patroni: Tree) -> Tree:
    tree = {key: value for key, value in patroni.items() if key != "ca"}
    for part, values in GIVEN.items():
        tree = _with(tree, part, **values)
    return tree


def test_given_certificates_are_used_as_they_are(make: Make, patroni: Tree) -> None:
    machine = make(_given(patroni))
    files = {file.path.rpartition("/")[2]: file.content for file in machine.software.files}
    assert (files["etcd-ca.crt"], files["patroni-client.key"]) == ("D\n", "F\n")
    assert (files["server.crt"], files["server.key"], files["ca.crt"]) == ("B\n", "C\n", "A\n")
    operator = _member(machine).operator
    assert (operator.ca, operator.certificate, operator.key) == ("A", "E", "F")
    assert "cert" not in _conf(machine)["etcd3"]


def test_certificates_come_from_one_place(make: Make, patroni: Tree) -> None:
    with pytest.raises(SpecError, match=r"leave out postgres\.ca_certificate, postgres\.server_c"):
        make({**_given(patroni), "ca": "ca"})
    tree = _given(patroni)
    del tree["patroni"]["client_key"]
    with pytest.raises(SpecError, match=r"give `ca`.*or also patroni\.client_key"):
        make(tree)


def test_the_member_has_the_machines_name_unless_told(make: Make, patroni: Tree) -> None:
    assert _member(make(patroni)).name == "postgres-1"
    assert _member(make(_with(patroni, "patroni", name="one"))).name == "one"


def _cautions(machine: Machine, *words: str) -> list[bool]:
    return [any(word in warning for warning in machine.warnings) for word in words]


def test_what_is_known_to_hurt_is_warned_about(make: Make, patroni: Tree) -> None:
    words = ("ttl", "master_start_timeout", "failsafe_mode", "equals", "strict", "is_synchronous")
    assert _cautions(make(patroni), *words) == [True, True, True, False, False, False]
    fast = {"ttl": 20, "loop_wait": 1, "retry_timeout": 8, "master_start_timeout": 0}
    tree = _with(patroni, "patroni", **fast, failsafe_mode=True)
    assert make(tree).warnings == ()
    same = _with(tree, "postgres", replicator_password="super")
    assert _cautions(make(same), *words) == [False, False, False, True, False, False]
    loose = _with(tree, "patroni", synchronous_settings={"strict": False})
    assert _cautions(make(loose), *words) == [False, False, False, False, True, False]
    short = _with(tree, "patroni", loop_wait=5)
    (warning,) = make(short).warnings
    assert "patroni.ttl is 20, but should be at least loop_wait + 2 x retry_timeout" in warning
    assert "patroni.readthedocs.io" in warning
    late = _with(tree, "patroni", watchdog_safety_margin=0)
    assert "after the lease's end" in make(late).warnings[0]
    none = _with(tree, "patroni", is_synchronous=False)
    assert _cautions(make(none), *words) == [False, False, False, False, False, True]


def test_packages_are_those_of_the_version(make: Make, patroni: Tree) -> None:
    def names(machine: Machine) -> list[str]:
        return [package.name for package in machine.software.packages]

    assert names(make(patroni)) == ["postgresql", "patroni"]
    assert names(make(patroni, postgresql="15.18")) == ["postgresql-15", "patroni"]
    wanted = _with(patroni, "postgres", version=17)
    assert names(make(wanted, platform="memory"))[:2] == ["postgresql-17", "python3-venv"]


def test_patroni_comes_from_pypi_from_a_package_or_with_the_image(
    make: Make, patroni: Tree
) -> None:
    tree = {**patroni, "patroni_version": "4.1.5"}
    software = make(tree, platform="memory").software
    (command,) = [one for one in software.setup if one.name == "patroni"]
    assert command.argv[-1] == "patroni[etcd3,psycopg3]==4.1.5"
    assert command.creates == "/opt/patroni/4.1.5/bin/patroni"
    assert software.services[0].command[0] == f"@{{path:{command.creates}}}"
    package = make({**tree, "patroni_install": "package"}, platform="memory")
    assert package.software.services[0].command[0] == "@{bin:patroni}"
    assert Package("patroni", "4.1.5", "patroni") in package.software.packages
    assert any("Debian 12" in warning for warning in package.warnings)
    image = make({**tree, "install_dependencies": False}, platform="memory").software
    assert image.services[0].command[0] == "@{bin:patroni}"
    assert {one.name for one in image.setup} == {"watchdog"}
    with pytest.raises(SpecError, match=r"patroni_version.*4\.0 or newer"):
        make({**patroni, "patroni_version": "3.3.2"})


def test_postgresql_outlives_a_patroni_that_dies(make: Make, patroni: Tree) -> None:
    (service,) = [s for s in make(patroni).software.services if s.name == "patroni"]
    assert service.spares_children


def test_a_leader_that_hangs_is_reset_by_what_is_wanted(make: Make, patroni: Tree) -> None:
    soft = make(patroni, platform="memory")
    assert soft.guest.watchdog is None
    assert _conf(soft)["watchdog"] == {
        "mode": "required",
        "device": "/dev/watchdog",
        "safety_margin": -1,
    }
    hard = make(
        _with(patroni, "patroni", watchdog="i6300esb", watchdog_safety_margin=5), platform="memory"
    )
    assert _conf(hard)["watchdog"]["safety_margin"] == 5
    assert hard.guest.watchdog == "i6300esb"
    texts = {file.path: file.content for file in hard.software.files}
    assert texts["/etc/modules-load.d/pgstead.conf"] == "i6300esb\n"
    assert "modprobe i6300esb\n" in texts["/usr/local/lib/pgstead/watchdog"]
    gentle = make(_with(patroni, "patroni", watchdog_mode="automatic"), platform="memory")
    assert _conf(gentle)["watchdog"]["mode"] == "automatic"
    without = make(
        _with(patroni, "patroni", watchdog="i6300esb", watchdog_mode="off"), platform="memory"
    )
    assert _conf(without)["watchdog"] == {"mode": "off"}
    assert without.guest.watchdog is None
    none = make(_with(patroni, "patroni", watchdog="off"), platform="memory")
    assert _conf(none)["watchdog"] == {"mode": "off"}
    assert "watchdog" not in {one.name for one in none.software.setup}


def test_data_lie_on_a_disk_that_the_folder_can_be_renamed_on(make: Make, patroni: Tree) -> None:
    disk = make({**patroni, "data_volume_id": "/pool/data"}, platform="memory").guest.data_disk
    assert disk == Disk(
        "data", volume_id="/pool/data", mount="/var/lib/postgresql", owner="postgres"
    )


def test_timings_are_the_users_to_say(make: Make, patroni: Tree) -> None:
    timings = {
        "ttl": 30,
        "loop_wait": 4,
        "retry_timeout": 9,
        "master_start_timeout": 7,
        "master_stop_timeout": 6,
        "use_pg_rewind": False,
    }
    settings = _member(make(_with(patroni, "patroni", **timings))).settings
    assert (settings["ttl"], settings["loop_wait"], settings["retry_timeout"]) == (30, 4, 9)
    assert (settings["primary_start_timeout"], settings["primary_stop_timeout"]) == (7, 6)
    assert settings["postgresql"]["use_pg_rewind"] is False


def test_a_cluster_has_a_place_and_a_way_to_etcd(make: Make, patroni: Tree) -> None:
    tree = _with(patroni, "patroni", scope="mine", namespace="/db/", name="first")
    tree["etcd"] = {"endpoints": ["10.9.0.1:2379"], "username": "me", "password": "made-up"}
    conf = _conf(make(tree))
    assert (conf["scope"], conf["namespace"], conf["name"]) == ("mine", "/db/", "first")
    assert conf["etcd3"]["hosts"] == ["10.9.0.1:2379"]
    assert (conf["etcd3"]["username"], conf["etcd3"]["password"]) == ("me", "made-up")


def test_clients_are_given_along_what_is_said(make: Make, patroni: Tree) -> None:
    assert _member(make(patroni)).client == ()
    client = {"connect_timeout": 3, "keepalives_idle": 5, "user_timeout": 8000}
    assert _member(make(_with(patroni, "postgres", client=client))).client == (
        ("connect_timeout", "3"),
        ("keepalives_idle", "5"),
        ("tcp_user_timeout", "8000"),
    )
