"""Packages that an image lacks: installed at the first boot, from the machine's apt sources.

In a container of libvirt's LXC driver, whose only source is an archive beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("libvirt")

from pgstead.platforms.guests.guest import RESULT
from support import containers, packages
from support.libvirt import Libvirtd, libvirtd
from support.members import session_of
from support.packages import Archive
from support.stack import stack_in

pytestmark = [
    pytest.mark.real,
    pytest.mark.xdist_group("first_boot_packages"),
    pytest.mark.skipif(containers.why_not() is not None, reason=str(containers.why_not())),
    pytest.mark.timeout(900),  # the image may have to be built first
]

PACKAGE = "haproxy"
SOURCE = f"deb [trusted=yes] http://10.99.0.1:{packages.PORT}/ ./\n"
MODULE = {
    "source": "postgres-load-balancer",
    "name": "balancer",
    "ca": "ca",
    **containers.SIZE,
    "install_dependencies": True,
    "haproxy": {"members": [{"name": "postgres-1", "ip": "10.99.0.99"}]},
}


@pytest.fixture(scope="module")
def complete() -> Path:
    """Made first: beside the daemon there is no network to fetch packages from."""
    return containers.unpacked()


@pytest.fixture(scope="module")
def root(complete: Path) -> Iterator[Path]:
    with packages.lacking(complete, PACKAGE, SOURCE) as made:
        yield made


@pytest.fixture(scope="module")
def daemon(root: Path) -> Iterator[Libvirtd]:
    del root  # has to outlive what is made of it
    with libvirtd() as made:
        yield made


@pytest.fixture(scope="module")
def archive(complete: Path, daemon: Libvirtd, folder: Path) -> Iterator[Archive]:
    with packages.served(complete, PACKAGE, folder / "archive", daemon.network) as made:
        yield made


def test_a_package_that_the_image_lacks_comes_with_the_first_boot(
    daemon: Libvirtd, root: Path, archive: Archive, folder: Path
) -> None:
    assert not (root / "usr/sbin/haproxy").exists()
    image = containers.offered(daemon, root)
    with daemon.network(), stack_in(folder, "t-apt") as stack:
        stack.write(
            platform=containers.platform(daemon, image),
            certificate_authorities={"ca": {}},
            modules={"balancer": MODULE},
        )
        stack.up()
        assert f"GET /./{PACKAGE}.deb" in archive.log or f"GET /{PACKAGE}.deb" in archive.log
        with session_of(stack) as session:
            reach = session.platform.reach("balancer")
            said = reach.run(["dpkg-query", "--show", "--showformat=${Status}", PACKAGE])
            assert said.stdout == "install ok installed"
            active = reach.run(["systemctl", "is-active", "haproxy.service"])
            assert active.stdout.strip() == "active"
            assert json.loads(reach.read(RESULT) or "")["v1"]["errors"] == []
        assert stack.plan() == {}
