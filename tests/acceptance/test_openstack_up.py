"""Whole stacks by the command line on the real services.

Load balancers: nothing outside of them has to be reached, and guests are told all by their user
data, so that what does not run in the lab is not missed.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.openstack.lab import Lab
from support.openstack.project import NAME, Project, project_in
from support.openstack.services import PASSWORD
from support.stack import Stack, stack_in

pytest.importorskip("openstack")
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]  # the lab starts in it

PLATFORM = {
    "kind": "openstack",
    "cloud": "member",
    "image": NAME,
    "flavor": NAME,
    "delivery": "user_data",
    "boot_from_volume": True,
}


@pytest.fixture(scope="module")
def project(openstack_lab: Lab) -> Iterator[Project]:
    with project_in(openstack_lab) as made:
        yield made


@pytest.fixture
def stack(project: Project, own_folder: Path) -> Iterator[Stack]:
    told = {"OS_CLIENT_CONFIG_FILE": str(project.lab.clouds_file)}
    with stack_in(own_folder, "t-openstack-up", environment=told) as made:
        yield made
    assert project.left() == {}


def balancers(count: int) -> dict[str, Any]:
    """What a stack file says of that many load balancers."""
    haproxy = {"members": [{"name": "postgres-1", "ip": "10.7.0.200"}]}
    names = [f"lb-{number + 1}" for number in range(count)]
    module = {"source": "postgres-load-balancer", "ca": "lb", "haproxy": haproxy}
    return {
        "platform": PLATFORM,
        "certificate_authorities": {"lb": {}},
        "modules": {name: {**module, "name": name} for name in names},
    }


def assert_whole(stack: Stack, project: Project, count: int) -> None:
    """Each machine is there once, with all that it has, and there is nothing else."""
    assert stack.plan() == {}
    left = project.left()
    expected = {"servers", "ports", "volumes"}
    assert {kind: len(left[kind]) for kind in expected} == dict.fromkeys(expected, count), left
    assert len(project.lab.guests) == count
    assert all(guest.is_on and guest.volumes for guest in project.lab.guests.values())


def test_a_stack_goes_up_is_seen_and_goes_without_a_trace(stack: Stack, project: Project) -> None:
    stack.write(**balancers(3))
    with project.lab.watching() as first:
        stack.up()
    assert_whole(stack, project, 3)
    for guest in project.lab.guests.values():
        user_data = gzip.decompress(guest.user_data).decode()
        assert "haproxy.cfg" in user_data
    assert any(one.method == "POST" and "/servers" in one.path for one in first)
    files = [file for file in stack.folder.rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if PASSWORD.encode() in file.read_bytes()]
