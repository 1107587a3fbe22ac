"""The four systems on virtual machines that really boot, from `up` to `destroy`.

Emulation only. One `up` brings up an etcd member, a Patroni member on it, a load balancer and
a PostgreSQL server of its own; what follows looks at them, changes them and removes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("libvirt")
pytest.importorskip("pycdlib")

from pgstead.image.cache import usual_image
from support.libvirt import Libvirtd
from support.virtual import MOUNTS, SERVICES, Lab, lab, systems, why_not
from support.virtual import ground as empty_ground

pytestmark = [
    pytest.mark.virtual,
    pytest.mark.xdist_group("virtual_systems"),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.timeout(1200),
]

FOREIGN = "somebody-elses"
MACHINES = tuple(SERVICES)


@pytest.fixture(scope="module")
def ground() -> Iterator[Libvirtd]:
    """A daemon with a pool in which somebody else has a volume and a machine."""
    with empty_ground() as daemon:
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
def up(ground: Libvirtd, folder: Path) -> Iterator[Lab]:
    """The four systems, up."""
    with lab(ground, folder, "vms") as made:
        image = usual_image(say=print).image
        made.write(systems(made.stack.name, image, made.authority))
        made.stack.up()
        yield made


def test_nothing_is_left_to_do_after_up(up: Lab) -> None:
    assert up.plan() == {}
    assert up.stack.status()["whole"]


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


def test_etcd_wants_a_certificate_and_a_password(up: Lab) -> None:
    cert, key = up.client_files()
    client = (f"--cert={cert}", f"--key={key}")
    bare = up.etcdctl("get", "/", "--prefix")
    assert bare.returncode != 0, "no certificate"
    nobody = up.etcdctl(*client, "get", "/", "--prefix")
    assert "permission denied" in nobody.stderr
    root = up.etcdctl(*client, "--user=root:only-for-this-test-root", "get", "/", "--prefix")
    assert f"/service/{up.stack.name}/leader" in root.stdout, root


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
    started = up.query("single", "owner", "single", "SELECT pg_postmaster_start_time()")
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
    assert up.query("single", "owner", "single", "SELECT pg_postmaster_start_time()") == started
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


def test_memory_changes_and_a_replaced_machine_keeps_its_data(up: Lab) -> None:
    """The standalone server restarts with more memory, the Patroni member gets a new system."""
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
    address = up.address("postgres-1")
    up.change("single", memory=576)
    up.change("postgres-1", libvirt_network={"network_name": "lab", "ip": address, "mac": MAC})
    pending = up.plan()
    assert {one: change["action"] for one, change in pending.items()} == {
        "machine.single": "update",
        "machine.postgres-1": "replace",
    }
    up.stack.up()
    assert up.plan() == {}
    assert int(up.says("single", "grep", "MemTotal", "/proc/meminfo").split()[1]) > 500_000
    assert up.query("single", "owner", "single", "SELECT * FROM kept", "things") == [(17,)]
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
    assert up.virsh("net-list", "--all", "--name").split() == []
    up.stack.run("destroy", str(up.stack.file), "--yes", "--delete-data")
    assert up.volumes() == {f"{FOREIGN}.img"}
    assert up.virsh("list", "--all", "--name").split() == [FOREIGN]
