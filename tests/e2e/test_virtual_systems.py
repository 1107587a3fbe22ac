"""The four systems of old on virtual machines that really boot, from `up` to `destroy`.

Emulation only. One `up` brings up an etcd member, a Patroni member on it, a load balancer and
a PostgreSQL server of its own, each by its name of old and with the variables that it had
there; what follows looks at them, changes them and removes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("libvirt")
pytest.importorskip("pycdlib")

from cryptography import x509

from pgstead.certificates import make_authority
from pgstead.image.cache import usual_image
from support import oci, seed_systems, virtual
from support import registry as registries
from support.libvirt import Libvirtd
from support.registry import Registry, registry
from support.seed_systems import (
    ADDRESSES,
    GATEWAY,
    IMAGE,
    MOUNTS,
    NETWORK,
    SERVICES,
    SHARED,
)
from support.virtual import Lab, lab

REASONS = [why for why in (virtual.why_not(), registries.why_not(), oci.why_not()) if why]

pytestmark = [
    pytest.mark.virtual,
    pytest.mark.xdist_group("virtual_systems"),
    pytest.mark.skipif(bool(REASONS), reason="; ".join(REASONS)),
    pytest.mark.timeout(3600),
]

FOREIGN = "somebody-elses"
MACHINES = tuple(SERVICES)


@pytest.fixture(scope="module")
def ground() -> Iterator[Libvirtd]:
    """A daemon with a network, and a pool in which somebody else has a volume and a machine."""
    with virtual.ground() as daemon:
        seed_systems.make_network(daemon)
        virsh = ("virsh", "-c", "qemu:///system")
        daemon.inside([*virsh, "vol-create-as", "default", f"{FOREIGN}.img", "1M"])
        domain = daemon.folder / "domain.xml"
        domain.write_text(
            f"<domain type='qemu'><name>{FOREIGN}</name><memory>65536</memory>"
            "<os><type>hvm</type></os></domain>"
        )
        daemon.inside([*virsh, "define", str(domain)])
        yield daemon


@pytest.fixture(scope="module")
def place(ground: Libvirtd, folder: Path) -> Iterator[Lab]:
    """A stack that is not up yet."""
    with lab(ground, folder, "vms") as made:
        yield made


@pytest.fixture(scope="module")
def images(place: Lab, folder: Path) -> Iterator[Registry]:
    """A registry that holds PostgreSQL's image."""
    network = place.daemon.network
    with registry(folder / "registry", GATEWAY, place.authority, network) as made:
        oci.push(made, IMAGE, oci.postgres_major(), oci.postgres_image())
        yield made


@pytest.fixture(scope="module")
def up(place: Lab, images: Registry) -> Lab:
    """The four systems, up."""
    image = usual_image(say=print).image
    document = seed_systems.systems(place.stack.name, image, place.authority, images)
    place.write(document)
    place.stack.up()
    return place


def test_nothing_is_left_to_do_after_up(up: Lab) -> None:
    assert up.plan() == {}
    up.stack.becomes_whole(virtual.LATE)


@pytest.mark.parametrize("machine", MACHINES)
def test_the_first_boot_ends_well_and_leaves_services_that_are_enabled(
    up: Lab, machine: str
) -> None:
    service = f"{SERVICES[machine]}.service"
    commands = (
        f"hostname; systemctl is-enabled {service}; systemctl is-active {service};"
        "systemctl --failed --no-legend; cat /var/lib/cloud/data/result.json"
    )
    *lines, result = up.says(machine, "sh", "-c", commands).split("\n", 3)
    assert lines == [machine, "enabled", "active"]
    assert json.loads(result)["v1"]["errors"] == []


@pytest.mark.parametrize("machine", MOUNTS)
def test_data_has_a_disk_of_its_own(up: Lab, machine: str) -> None:
    found = up.says(machine, "findmnt", "-no", "SOURCE,FSTYPE,LABEL,TARGET", "/dev/vdb").split()
    assert found == ["/dev/vdb", "ext4", "pgstead-data", MOUNTS[machine]]


def test_no_private_key_stays_in_the_pool(up: Lab) -> None:
    assert not [name for name in up.volumes() if name.endswith(".iso")]
    for machine in MACHINES:
        assert "cloud-init" not in up.virsh("dumpxml", machine)


def test_psql_verifies_each_server_in_full(up: Lab) -> None:
    owner = up.query("single", "owner", "single", "SELECT current_user", "things")
    assert owner == [("owner",)]
    app = up.query("postgres-1", "app", "application", "SELECT current_user", "app")
    assert app == [("app",)]


def test_etcd_proves_itself_and_wants_a_password(up: Lab) -> None:
    """With and without a client's certificate, which its gateway does without."""
    cert, key = up.client_files()
    for client in ((), (f"--cert={cert}", f"--key={key}")):
        nobody = up.etcdctl(*client, "get", "/", "--prefix")
        assert nobody.returncode != 0
        assert "user name is empty" in nobody.stderr or "permission denied" in nobody.stderr
        root = up.etcdctl(*client, "--user=root:only-for-this-test-root", "get", "/", "--prefix")
        assert f"/patroni/{up.stack.name}/leader" in root.stdout, root
    wrong = up.etcdctl("--user=root:another-password", "get", "/", "--prefix")
    assert "authentication failed" in wrong.stderr
    others = up.stack.folder / "others.crt"
    others.write_text(make_authority("others", "test").certificate)
    stranger = up.etcdctl("--user=root:only-for-this-test-root", "get", "/", ca=others)
    assert stranger.returncode != 0
    assert "deadline exceeded" in stranger.stderr  # etcdctl tells no more of TLS


def test_postgresql_of_its_own_runs_from_its_image(up: Lab, images: Registry) -> None:
    running = up.says("single", "podman", "ps", "--no-trunc", "--format", "{{.Image}}")
    assert running == f"{images.address}/{IMAGE}:{oci.postgres_major()}"
    certificate = up.says("single", "cat", "/etc/postgresql/tls/server.crt")
    names = x509.load_pem_x509_certificate(certificate.encode()).extensions
    found = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "postgres.local" in found.get_values_for_type(x509.DNSName)


def test_machines_have_the_addresses_that_they_were_given(up: Lab) -> None:
    for machine, address in ADDRESSES.items():
        assert up.address(machine) == address
        assert seed_systems.mac(machine) in up.virsh("dumpxml", machine)


@pytest.mark.parametrize("machine", SHARED)
def test_two_machines_share_an_interface_of_the_host(up: Lab, machine: str) -> None:
    """It is as their variables say. pgstead enters them by the guest agent, others by network."""
    card = _shared(up.document()["modules"][machine])
    domain = ET.fromstring(up.virsh("dumpxml", machine))
    found = domain.iterfind("devices/interface[@type='direct']/source")
    assert [one.attrib for one in found] == [{"dev": card["interface"], "mode": "bridge"}]
    with closing(seed_systems.login(up, machine)) as reach, up.daemon.network():
        said = [reach.run(["ip", "-json", what]).stdout for what in ("address", "route")]
        asked = reach.run(["resolvectl", "dns"]).stdout
    links, routes = map(json.loads, said)
    (link,) = (one for one in links if one["address"] == card["mac"])
    assert fnmatch(link["ifname"], card["match"])
    (address,) = (one for one in link["addr_info"] if one["family"] == "inet")
    assert (address["local"], address["prefixlen"]) == (card["ip"], card["prefix_length"])
    (way_out,) = (one for one in routes if one["dst"] == "default")
    assert (way_out["gateway"], way_out["dev"]) == (card["gateway"], link["ifname"])
    assert f"({link['ifname']}): {' '.join(card['dns_servers'])}" in asked


def _shared(module: dict[str, Any]) -> dict[str, Any]:
    """What a module says of its interface of the host: there are variables of two forms."""
    if "macvtap_interfaces" in module:
        (card,) = module["macvtap_interfaces"]
        return {"match": "*", **card}
    return {
        "interface": module["macvtap_interface"],
        "match": module["macvtap_vm_interface_name_match"],
        "prefix_length": module["macvtap_subnet_prefix_length"],
        "gateway": module["macvtap_gateway_ip"],
        "dns_servers": module["macvtap_dns_servers"],
        "ip": module["ip"],
        "mac": module["mac"],
    }


def test_the_load_balancer_follows_its_primary(up: Lab) -> None:
    statement = "SELECT host(inet_server_addr()), pg_is_in_recovery()"
    found = up.query("load-balancer-1", "app", "application", statement, "app")
    assert found == [(up.address("postgres-1"), False)]


def test_what_is_changed_in_a_guest_is_seen_and_put_back(up: Lab) -> None:
    path = "/etc/haproxy/haproxy.cfg"
    before = up.says("load-balancer-1", "cat", path)
    up.edit("load-balancer-1", path, before + "\n# by somebody\n")
    pending = up.plan()
    assert list(pending) == ["machine.load-balancer-1"]
    assert path in json.dumps(pending)
    up.stack.up()
    assert up.says("load-balancer-1", "cat", path) == before
    assert up.plan() == {}


def test_a_disk_grows_and_parameters_change_while_machines_run(up: Lab) -> None:
    up.query(
        "single",
        "owner",
        "single",
        "CREATE TABLE IF NOT EXISTS kept AS SELECT 17 AS number",
        "things",
    )
    boots = {machine: up.virsh("domid", machine) for machine in MACHINES}
    begun = "SELECT pg_postmaster_start_time()"
    started = up.query("single", "owner", "single", begun)
    leading = up.query("postgres-1", "postgres", "superuser", begun)
    size = int(up.says("single", "df", "--output=size", MOUNTS["single"]).split()[1])
    up.change(
        "single",
        data_size=2,
        postgres_params="-c 'shared_buffers=32MB' -c 'work_mem=2MB'",
    )
    changed = _with_parameter(up, {"key": "work_mem", "value": "3MB"})
    up.change("postgres-1", postgres=changed)
    up.stack.up()
    assert up.plan() == {}
    assert {machine: up.virsh("domid", machine) for machine in MACHINES} == boots
    assert int(up.says("single", "df", "--output=size", MOUNTS["single"]).split()[1]) > 1.9 * size
    # A container's parameters are words of its command; Patroni has its server read its anew.
    assert up.query("single", "owner", "single", begun) > started
    assert up.query("postgres-1", "postgres", "superuser", begun) == leading
    assert up.query("single", "owner", "single", "SHOW work_mem") == [("2MB",)]
    assert up.query("load-balancer-1", "app", "application", "SHOW work_mem", "app") == [("3MB",)]
    assert up.query("single", "owner", "single", "SELECT * FROM kept", "things") == [(17,)]


def _with_parameter(up: Lab, parameter: dict[str, str]) -> dict[str, object]:
    module = up.document()["modules"]["postgres-1"]["postgres"]
    return {**module, "params": [*module["params"], parameter]}


def test_a_disk_never_shrinks(up: Lab) -> None:
    up.change("single", data_size=1)
    refused = up.stack.run("up", str(up.stack.file), "--yes", code=None)
    up.change("single", data_size=2)
    assert refused.returncode != 0
    assert "disk" in refused.stderr
    assert up.plan() == {}


def test_a_machine_that_gets_more_memory_keeps_its_data(up: Lab) -> None:
    up.change("single", memory=576)
    assert {one: change["action"] for one, change in up.plan().items()} == {
        "machine.single": "update"
    }
    up.stack.up()
    assert up.plan() == {}
    assert int(up.says("single", "grep", "MemTotal", "/proc/meminfo").split()[1]) > 500_000
    assert up.query("single", "owner", "single", "SELECT * FROM kept", "things") == [(17,)]


def test_a_replaced_machine_keeps_its_data(up: Lab) -> None:
    up.query(
        "load-balancer-1",
        "app",
        "application",
        "CREATE TABLE IF NOT EXISTS kept AS SELECT 23 AS n",
        "app",
    )
    identity = "SELECT system_identifier FROM pg_control_system()"
    before = up.query("postgres-1", "postgres", "superuser", identity)
    up.says("postgres-1", "touch", "/root/of-the-old-system")
    (interface,) = up.document()["modules"]["postgres-1"]["libvirt_networks"]
    up.change("postgres-1", libvirt_networks=[{**interface, "mac": MAC}])
    assert {one: change["action"] for one, change in up.plan().items()} == {
        "machine.postgres-1": "replace"
    }
    up.stack.up()
    assert up.plan() == {}
    up.stack.becomes_whole(virtual.LATE)  # the load balancer has to notice first
    assert MAC in up.virsh("dumpxml", "postgres-1")
    assert "of-the-old-system" not in up.says("postgres-1", "ls", "/root")
    assert up.query("postgres-1", "postgres", "superuser", identity) == before
    assert up.query("load-balancer-1", "app", "application", "SELECT * FROM kept", "app") == [(23,)]
    assert not [name for name in up.volumes() if name.endswith(".iso")]


MAC = "52:54:00:99:00:17"


def test_destroy_leaves_data_until_it_is_told_to_delete_it(up: Lab) -> None:
    up.stack.run("destroy", str(up.stack.file), "--yes")
    left = {name for name in up.volumes() if not name.startswith(FOREIGN)}
    assert {name.partition("-data-")[0] for name in left} == set(MOUNTS)
    assert up.virsh("list", "--all", "--name").split() == [FOREIGN]
    assert up.virsh("net-list", "--all", "--name").split() == [NETWORK]
    up.stack.run("destroy", str(up.stack.file), "--yes", "--delete-data")
    assert up.volumes() == {f"{FOREIGN}.img"}
    assert up.virsh("list", "--all", "--name").split() == [FOREIGN]
