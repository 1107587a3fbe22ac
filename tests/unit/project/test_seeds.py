"""The five modules of old: none of their variables is missing, and their examples plan.

What the variables are is written down here, from those modules' own documentation.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pgstead.engine.compare import make_plan
from pgstead.engine.plan import Action
from pgstead.machine import Machine, Port
from pgstead.modules.base import Context, Facts
from pgstead.modules.build import Blueprint, build
from pgstead.modules.fake import FakeMaterials
from pgstead.modules.registry import MODELS
from pgstead.platforms.memory.platform import MemoryPlatform
from pgstead.platforms.memory.world import World
from pgstead.spec import load
from support import sources

MACHINE = """
name vcpus memory volume_id cloud_init_volume_pool cloud_init_volume_name ssh_admin_user
admin_user_password ssh_admin_public_key
chrony chrony.enabled chrony.servers chrony.servers[].url chrony.servers[].options chrony.pools
chrony.pools[].url chrony.pools[].options chrony.makestep chrony.makestep.threshold
chrony.makestep.limit
"""
MACVTAP = """
macvtap_interfaces macvtap_interfaces[].interface macvtap_interfaces[].prefix_length
macvtap_interfaces[].ip macvtap_interfaces[].mac macvtap_interfaces[].gateway
macvtap_interfaces[].dns_servers
"""
LIBVIRT = """
{0} {0}[].network_id {0}[].network_name {0}[].ip {0}[].mac {0}[].prefix_length {0}[].gateway
{0}[].dns_servers
"""
FORWARD = "{0} {0}.domain {0}.port {0}.hostname {0}.shared_key {0}.ca_cert"
ETCD_STORE = """
{0} {0}.key_prefix {0}.endpoints {0}.ca_certificate {0}.client {0}.client.certificate
{0}.client.key {0}.client.username {0}.client.password
"""
LATER = "running autostart"

VARIABLES = {
    "kvm-postgres-server": f"""
        {MACHINE} {LATER}
        network_id macvtap_interface macvtap_vm_interface_name_match macvtap_subnet_prefix_length
        macvtap_gateway_ip macvtap_dns_servers ip mac
        postgres_image postgres_params postgres_user postgres_database postgres_password
        organization certificate_validity_period certificate_early_renewal
        ca ca.key ca.key_algorithm ca.certificate key_length domains
    """,
    "kvm-patroni-server": f"""
        {MACHINE} {LATER} {MACVTAP} {LIBVIRT.format("libvirt_networks")}
        data_volume_id install_dependencies patroni_version
        postgres postgres.params postgres.params[].key postgres.params[].value
        postgres.replicator_password postgres.superuser_password postgres.ca_certificate
        postgres.server_certificate postgres.server_key
        etcd etcd.endpoints etcd.ca_cert etcd.username etcd.password
        patroni patroni.scope patroni.namespace patroni.name patroni.ttl patroni.loop_wait
        patroni.retry_timeout patroni.master_start_timeout patroni.master_stop_timeout
        patroni.watchdog_safety_margin patroni.use_pg_rewind patroni.is_synchronous
        patroni.synchronous_settings patroni.synchronous_settings.strict
        patroni.synchronous_settings.synchronous_node_count patroni.asynchronous_settings
        patroni.asynchronous_settings.maximum_lag_on_failover patroni.client_certificate
        patroni.client_key
        fluentbit fluentbit.enabled fluentbit.patroni_tag fluentbit.node_exporter_tag
        fluentbit.metrics fluentbit.metrics.enabled fluentbit.metrics.port
        {FORWARD.format("fluentbit.forward")}
        fluentbit_dynamic_config fluentbit_dynamic_config.enabled fluentbit_dynamic_config.source
        {ETCD_STORE.format("fluentbit_dynamic_config.etcd")}
        fluentbit_dynamic_config.etcd.vault_agent_secret_path
        fluentbit_dynamic_config.git fluentbit_dynamic_config.git.repo
        fluentbit_dynamic_config.git.ref fluentbit_dynamic_config.git.path
        fluentbit_dynamic_config.git.trusted_gpg_keys fluentbit_dynamic_config.git.auth
        fluentbit_dynamic_config.git.auth.client_ssh_key
        fluentbit_dynamic_config.git.auth.client_ssh_user
        fluentbit_dynamic_config.git.auth.server_ssh_fingerprint
    """,
    "kvm-postgres-load-balancer": f"""
        {MACHINE} {LATER} {MACVTAP} install_dependencies
        libvirt_network libvirt_network[].ip libvirt_network[].mac libvirt_network[].network_id
        libvirt_network[].network_name
        haproxy haproxy.postgres_nodes_max_count haproxy.postgres_nameserver_ips
        haproxy.postgres_domain haproxy.patroni_client haproxy.patroni_client.ca_key
        haproxy.patroni_client.ca_certificate haproxy.patroni_client.certificate_validity_period
        haproxy.patroni_client.certificate_early_renewal_period haproxy.timeouts
        haproxy.timeouts.connect haproxy.timeouts.check haproxy.timeouts.idle
        fluentd fluentd.enabled fluentd.load_balancer_tag fluentd.node_exporter_tag
        {FORWARD.format("fluentd.forward")}
        fluentd.buffer fluentd.buffer.customized fluentd.buffer.custom_value
        container_registry container_registry.url container_registry.username
        container_registry.password
    """,
    "kvm-etcd-server": f"""
        {MACHINE} {LATER} {MACVTAP} {LIBVIRT.format("libvirt_network")}
        {LIBVIRT.format("libvirt_networks")} data_volume_id install_dependencies
        etcd etcd.auto_compaction_mode etcd.auto_compaction_retention etcd.space_quota
        etcd.grpc_gateway_enabled etcd.client_cert_auth
        authentication_bootstrap authentication_bootstrap.bootstrap
        authentication_bootstrap.root_password
        cluster cluster.is_initializing cluster.initial_token cluster.initial_members
        cluster.initial_members[].ip cluster.initial_members[].name
        tls tls.ca_cert tls.server_cert tls.server_key
        fluentbit fluentbit.enabled fluentbit.etcd_tag fluentbit.node_exporter_tag
        {FORWARD.format("fluentbit.forward")}
        fluentbit.etcd.enabled {ETCD_STORE.format("fluentbit.etcd")}
    """,
    "openstack-etcd-server": """
        name namespace image_id flavor_id network_port network_port.id network_port.name
        network_port.network_id network_port.security_group_ids network_port.admin_state_up
        keypair_name etcd_version etcd_auto_compaction_mode etcd_auto_compaction_retention
        etcd_space_quota is_initial_cluster initial_cluster_token initial_cluster
        initial_cluster[].ip initial_cluster[].name
        organization certificate_validity_period certificate_early_renewal_period
        ca ca.key ca.key_algorithm ca.certificate bootstrap_authentication
    """,
}
"""Each module's variables, nested keys dotted, `[]` for an item of a list."""

DEFAULTS: dict[str, dict[str, object]] = {
    "kvm-postgres-server": {
        "vcpus": 2,
        "memory": 8192,
        "macvtap_vm_interface_name_match": "en*",
        "ssh_admin_user": "ubuntu",
        "certificate_validity_period": 100 * 365 * 24,
        "certificate_early_renewal": 365 * 24,
        "key_length": 4096,
        "chrony.enabled": False,
    },
    "kvm-patroni-server": {"ssh_admin_user": "ubuntu", "running": True, "autostart": True},
    "kvm-postgres-load-balancer": {"vcpus": 2, "memory": 8192, "fluentd.enabled": False},
    "kvm-etcd-server": {
        "etcd.auto_compaction_mode": "revision",
        "etcd.auto_compaction_retention": "1000",
        "etcd.space_quota": 8 * 1024**3,
        "etcd.grpc_gateway_enabled": False,
        "etcd.client_cert_auth": True,
        "authentication_bootstrap.bootstrap": False,
        "fluentbit.enabled": False,
    },
    "openstack-etcd-server": {
        "namespace": "",
        "etcd_version": "v3.4.15",
        "etcd_auto_compaction_mode": "revision",
        "etcd_auto_compaction_retention": "1000",
        "etcd_space_quota": 8 * 1024**3,
        "is_initial_cluster": True,
        "initial_cluster_token": "etcd-cluster",
        "certificate_validity_period": 100 * 365 * 24,
        "certificate_early_renewal_period": 99 * 365 * 24,
        "bootstrap_authentication": False,
    },
}
"""The defaults that those modules' documentation states."""


def _models(annotation: Any) -> Iterator[Any]:
    if hasattr(annotation, "model_fields"):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models(part)


@cache
def _field(module: str, name: str) -> Any:
    """The field of that dotted name; None if there is none."""
    models, found = [MODELS[module]], None
    for key in name.replace("[]", "").split("."):
        found = next((one.model_fields[key] for one in models if key in one.model_fields), None)
        if found is None:
            return None
        models = list(_models(found.annotation))
    return found


@pytest.mark.parametrize("module", VARIABLES)
def test_every_variable_is_there(module: str) -> None:
    assert [name for name in VARIABLES[module].split() if _field(module, name) is None] == []


@pytest.mark.parametrize("module", DEFAULTS)
def test_defaults_are_those_of_old(module: str) -> None:
    for name, value in DEFAULTS[module].items():
        assert _field(module, name).get_default(call_default_factory=True) == value, name


# -- the table


@pytest.fixture(scope="session")
def tables(project: Path) -> dict[str, dict[str, tuple[str, str, str]]]:
    """Module -> variable -> its row: where, what, proof."""
    text = (project / "docs" / "seeds.md").read_text("utf-8")
    found: dict[str, dict[str, tuple[str, str, str]]] = {}
    for line in text.splitlines():
        if title := re.fullmatch(r"## `((?:kvm|openstack)-[a-z-]+)`", line):
            rows = found[title[1]] = {}
        elif row := re.fullmatch(r"\| `([^`]+)` \| (.+) \| (.+) \| (.+) \|", line):
            assert row[1] not in rows, f"{row[1]} stands twice"
            rows[row[1]] = (row[2], row[3], row[4])
    return found


@pytest.mark.parametrize("module", VARIABLES)
def test_every_variable_has_a_row(
    module: str, tables: dict[str, dict[str, tuple[str, str, str]]]
) -> None:
    assert sorted(tables[module]) == sorted(set(VARIABLES[module].split()))


def test_rows_name_files_that_exist_and_tests_that_name_the_variable(
    tables: dict[str, dict[str, tuple[str, str, str]]], project: Path
) -> None:
    for rows in tables.values():
        for name, (where, _, proof) in rows.items():
            for place in re.findall(r"`([^`]+)`", where):
                assert (project / "src" / "pgstead" / "modules" / place).exists(), name
            proofs = re.findall(r"`([^`]+)::([^`]+)`", proof)
            assert proofs, f"{name} has no proof"
            texts = [sources.of_test(project / "tests" / file, test) for file, test in proofs]
            key = name.replace("[]", "").rpartition(".")[2]
            word = re.compile(rf"(?<![a-z]){key}(?![a-z])")
            assert any(map(word.search, texts)), f"{name}: {proof} does not mention {key}"


def test_a_tests_source_is_all_that_it_uses_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(
        "from a import b\nONE = 'first'\nTWO = ('second', ONE)\nLOST = 'lost'\n"
        "def given():\n    return TWO\n"
        "@mark(LOST)\ndef test_other():\n    pass\n"
        "def test_it(given):\n    assert b\n"
    )
    text = sources.of_test(file, "test_it")
    assert "assert b" in text
    assert "first" in text
    assert "second" in text
    assert "lost" not in text
    assert "lost" in sources.of_test(file, "test_other")
    with pytest.raises(KeyError):
        sources.of_test(file, "test_no_more")


# -- the examples


EXAMPLES = {
    "kvm-postgres-server": 1,
    "kvm-patroni-server": 1,
    "kvm-postgres-load-balancer": 1,
    "kvm-etcd-server-libvirt-network": 3,
    "kvm-etcd-server-macvtap": 3,
    "openstack-etcd-server": 3,
}
"""The examples, with the number of their machines."""


def _built(examples: Path, name: str) -> Blueprint:
    stack = load(examples / f"{name}.yaml", environ={})
    return build(stack, Context(Facts(stack.platform.kind), FakeMaterials()))


def test_every_example_is_tested(examples: Path) -> None:
    assert {one.stem for one in examples.glob("*.yaml")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_plans(name: str, examples: Path, tmp_path: Path) -> None:
    machines = _built(examples, name).machines
    platform = MemoryPlatform(World(tmp_path / "world"))
    desired = platform.lower(machines, lambda text: hashlib.sha256(text.encode()).hexdigest())
    plan = make_plan(desired, {}, platform.observe({one.address: one for one in desired}, str))
    assert [one.action for one in plan.changes] == [Action.CREATE] * EXAMPLES[name]
    assert not plan.refused


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_examples_machines_are_guests(name: str, examples: Path) -> None:
    for machine in _built(examples, name).machines:
        _check_guest(machine)


def _check_guest(machine: Machine) -> None:
    guest = machine.guest
    if guest.cloud.flavor is not None:
        return _check_server(machine)
    assert guest.os_disk.volume_id is not None or guest.os_disk.base is not None
    assert guest.seed_pool is not None
    assert (guest.admin.user, guest.admin.public_key) == ("ubuntu", "ssh-ed25519 AAAA admin")
    (card,) = guest.nics
    assert card.address == machine.address
    assert len({card.network_id, card.network_name, card.macvtap}) == 2
    return None


def _check_server(machine: Machine) -> None:
    guest = machine.guest
    assert (guest.os_disk.base, guest.cloud.flavor) == ("ubuntu", "micro")
    assert guest.cloud.key_pair == "etcd-dev-external-keypair"
    (card,) = guest.nics
    assert (card.address, card.network_id) == (machine.address, "internal")
    name = machine.name.replace("etcd-", "etcd-dev-").removesuffix("-dev")
    assert card.port == Port(name=name, security_groups=("etcd-member-dev",))
