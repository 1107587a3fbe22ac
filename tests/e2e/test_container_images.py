"""Servers in containers on virtual machines that really boot, from `up` to `destroy`.

PostgreSQL and HAProxy are images of a registry that the test starts, with TLS, a user and a
password; Podman runs the one, Docker the other. Emulation only; nothing leaves the daemon's
namespaces.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("libvirt")
pytest.importorskip("pycdlib")

import psycopg

from pgstead.certificates import Authority
from pgstead.image.cache import cached
from pgstead.image.recipe import recipe
from pgstead.image.sources import apt_sources, suite_of
from pgstead.machine import File
from pgstead.waiting import wait
from support import oci, virtual
from support import registry as registries
from support.libvirt import Libvirtd
from support.registry import Registry, registry
from support.virtual import EMULATED, PASSWORD, Lab, lab, platform

REASONS = [why for why in (virtual.why_not(), registries.why_not(), oci.why_not()) if why]

pytestmark = [
    pytest.mark.virtual,
    pytest.mark.xdist_group("virtual_container_images"),
    pytest.mark.skipif(bool(REASONS), reason="; ".join(REASONS)),
    pytest.mark.timeout(1200),
]

REGISTRY = "10.77.0.1"
"""The first address of the stack's network, which is the daemon's own."""

BOOT_SECONDS = 600
"""Emulated, on two processors that do other work too."""

MACHINES = ("single", "balancer")
RUNNING = ("ps", "--no-trunc", "--format", "{{.Image}}")


@pytest.fixture(scope="module")
def ground() -> Iterator[Libvirtd]:
    """A daemon with a pool."""
    with virtual.ground() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def place(ground: Libvirtd, folder: Path) -> Iterator[Lab]:
    """A stack that is not up yet."""
    with lab(ground, folder, "imgs") as made:
        yield made


@pytest.fixture(scope="module")
def images(place: Lab, folder: Path) -> Iterator[Registry]:
    """A registry that holds both images."""
    network = place.daemon.network
    with registry(folder / "registry", REGISTRY, place.authority, network) as made:
        oci.push(made, "databases/postgres", oci.postgres_major(), oci.postgres_image())
        oci.push(made, "haproxy", "3.0", oci.haproxy_image())
        yield made


@pytest.fixture(scope="module")
def image() -> Path:
    """The usual image, and Docker beside Podman; made once."""
    sources = apt_sources()
    wanted = recipe(suite_of(sources), sources, more=("docker.io", "apparmor"))
    return cached(wanted, say=print).image


@pytest.fixture(scope="module")
def up(image: Path, place: Lab, images: Registry) -> Lab:
    """Both servers, up."""
    place.write(systems(place.stack.name, image, place.authority, images))
    place.stack.up()
    return place


def systems(name: str, image: Path, ca: Authority, images: Registry) -> dict[str, Any]:
    """The stack file of both servers."""
    common = {"ca": name, "container_registry": images.settings, **EMULATED}
    return {
        "version": 1,
        "name": name,
        "platform": platform(image),
        "certificate_authorities": {name: {"certificate": ca.certificate, "key": ca.key}},
        "passwords": {"single": {"value": f"{PASSWORD}-single"}},
        "modules": {
            "single": {
                **common,
                "source": "postgres-server",
                "name": "single",
                "postgres_image": f"databases/postgres:{oci.postgres_major()}",
                "postgres_user": "owner",
                "postgres_database": "things",
                "postgres_password": "${passwords.single}",
                "postgres_params": "-c 'shared_buffers=32MB'",
            },
            "balancer": {
                **common,
                "source": "postgres-load-balancer",
                "name": "balancer",
                "container_runtime": "docker",
                "haproxy": {
                    "members": [{"name": "postgres-1", "ip": "${modules.single.ip}"}],
                    "statistics": {"enabled": True},
                },
            },
        },
    }


KEPT = "CREATE TABLE IF NOT EXISTS kept AS SELECT 17 AS number"


def ask(up: Lab, statement: str) -> Any:
    return up.query("single", "owner", "single", statement, "things")


def kept(up: Lab) -> Any:
    """What the table holds, once PostgreSQL answers."""
    with suppress(psycopg.OperationalError):
        return ask(up, "SELECT number FROM kept")
    return None


def statistics(up: Lab) -> str | None:
    """HAProxy's page, once it answers."""
    cert, key = map(str, up.client_files())
    url = f"https://{up.address('balancer')}:8404/;csv"
    words = ["curl", "-sS", "--cacert", str(up.ca), "--cert", cert, "--key", key, url]
    with suppress(subprocess.CalledProcessError):
        return up.daemon.inside(words, timeout=150)
    return None


def test_postgresql_serves_from_its_image(up: Lab) -> None:
    assert up.plan() == {}
    assert ask(up, "SELECT current_user, current_setting('shared_buffers')") == [("owner", "32MB")]
    image = f"{REGISTRY}:5000/databases/postgres:{oci.postgres_major()}"
    assert up.says("single", "podman", *RUNNING) == image
    mount = up.says("single", "findmnt", "-no", "SOURCE", "/var/lib/postgresql")
    assert mount == "/dev/vdb"


def test_haproxy_serves_from_its_image(up: Lab) -> None:
    assert up.says("balancer", "docker", *RUNNING) == f"{REGISTRY}:5000/haproxy:3.0"
    assert "postgres-1" in (statistics(up) or "")


@pytest.mark.parametrize("machine", MACHINES)
def test_no_secret_is_seen_on_the_machine(up: Lab, machine: str) -> None:
    """What is looked for comes from a file: a command line would be found itself."""
    wanted = File(
        "/root/wanted", "\n".join((*registries.SECRETS, f"{PASSWORD}-single")), mode=0o600
    )
    with up.inside(machine) as reach:
        reach.push(wanted)
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups --"
    places = "/etc /run /usr/local /var/lib /var/log /proc/[0-9]*/cmdline"
    seen = (
        f"{nobody} grep -rlsF -f - {places} <{wanted.path}; journalctl | grep -F -f {wanted.path}"
    )
    assert up.says(machine, "sh", "-c", f"({seen}) || true") == ""
    assert up.says(machine, "grep", "-rlsF", "-f", wanted.path, "/etc"), "root finds them"


def test_no_secret_is_seen_in_the_registrys_log(images: Registry, up: Lab) -> None:
    assert not [secret for secret in registries.SECRETS if secret in images.log]
    assert "/v2/haproxy/manifests/" in images.log


def test_a_changed_parameter_and_a_killed_container_restart_it(up: Lab) -> None:
    ask(up, KEPT)
    up.change("single", postgres_params="-c 'shared_buffers=24MB'")
    up.stack.up()
    assert up.plan() == {}
    assert ask(up, "SHOW shared_buffers") == [("24MB",)]
    up.says("single", "podman", "kill", "--signal=KILL", "postgres")
    assert wait(lambda: kept(up), deadline=BOOT_SECONDS, what="PostgreSQL") == [(17,)]


def test_machines_that_lost_power_serve_again_without_the_registry(
    up: Lab, images: Registry
) -> None:
    ask(up, KEPT)
    asked = images.log.count(" /v2/")
    for machine in MACHINES:
        up.virsh("destroy", machine)
        up.virsh("start", machine)
    assert wait(lambda: kept(up), deadline=BOOT_SECONDS, what="PostgreSQL") == [(17,)]
    assert "postgres-1" in wait(lambda: statistics(up), deadline=BOOT_SECONDS, what="HAProxy")
    assert images.log.count(" /v2/") == asked
