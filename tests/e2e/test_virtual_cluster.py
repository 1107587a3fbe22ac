"""The quickstart's cluster, in its short form, on seven virtual machines that really boot.

Emulation only. One `up` brings it up; then its leader's machine is lost under a writer, and a
member's machine is replaced around its data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("libvirt")
pytest.importorskip("pycdlib")

from pgstead.image.cache import usual_image
from pgstead.waiting import wait
from support.ledger import WRITER, Ledger, writing
from support.stack import QUICKSTART
from support.virtual import (
    LATE,
    PASSWORD,
    Lab,
    ground,
    lab,
    platform,
    small_cluster,
    why_not,
)

pytestmark = [
    pytest.mark.virtual,
    pytest.mark.xdist_group("virtual_cluster"),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.timeout(3600),  # of which the first test has `up`: seven machines boot at once
]

BOOT_SECONDS = 2400
FAILOVER_SECONDS = 240.0
"""The lease of 60 s, and what emulated machines take to notice, to vote and to promote."""

MACHINES = {
    *(f"etcd-{number}" for number in (1, 2, 3)),
    *(f"postgres-{number}" for number in (1, 2, 3)),
    "load-balancer-1",
}
PATIENT = replace(WRITER, connect_timeout=20.0, pause=0.2)
"""A writer whose host has processors left for a machine that comes back, and who bears that an
emulated one takes seconds for a connection by TLS."""

REPLACED = "etcd-2"
MAC = "52:54:00:99:00:23"


def document(made: Lab, image: Path) -> dict[str, Any]:
    """The stack file; authority and one password are given, so that tests have them, too."""
    pair = {"certificate": made.authority.certificate, "key": made.authority.key}
    waits = {"boot_deadline": BOOT_SECONDS, "cloud_init_deadline": BOOT_SECONDS}
    return {
        "name": made.stack.name,
        "platform": {**platform(image), **waits},
        "certificate_authorities": {made.stack.name: pair},
        "passwords": {"etcd-root": {"value": f"{PASSWORD}-root"}},
        "cluster": small_cluster(),
    }


@pytest.fixture(scope="module")
def up(folder: Path) -> Iterator[Lab]:
    """The cluster, up."""
    with ground() as daemon, lab(daemon, folder, "vmc") as made:
        made.stack.deadline = BOOT_SECONDS
        made.write(document(made, usual_image(say=print).image))
        made.stack.up()
        yield made


def test_one_up_brings_up_seven_machines_and_leaves_nothing_to_do(up: Lab) -> None:
    assert set(up.virsh("list", "--name").split()) == MACHINES
    assert up.plan() == {}
    assert list(up.roles().values()).count("leader") == 1


def test_a_leader_whose_machine_is_lost_costs_no_acknowledged_row(
    up: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    dsn = up.stack.dsn()
    lost = next(machine for machine, role in up.roles().items() if role == "leader")
    with up.daemon.network(), writing(dsn, PATIENT) as ledger:
        _goes_on(ledger)
        up.virsh("destroy", lost)
        _goes_on(ledger)
        with capsys.disabled():
            print(f"\nlost {lost}: no write for {ledger.longest_gap:.1f} s")  # noqa: T201
        assert ledger.longest_gap < FAILOVER_SECONDS
        assert up.virsh("domstate", lost).strip() == "shut off"
        up.stack.up()
        _goes_on(ledger)
    assert up.plan() == {}
    roles = up.roles()
    assert len(roles) == QUICKSTART["postgres"]["members"]
    assert roles[lost] != "leader"


def _goes_on(ledger: Ledger) -> None:
    """Wait until rows are acknowledged that were not yet on their way."""
    enough = len(ledger.acknowledged) + 10
    wait(
        lambda: len(ledger.acknowledged) >= enough or None,
        deadline=FAILOVER_SECONDS,
        what="writes that are acknowledged",
    )


def test_a_replaced_member_keeps_its_data_and_its_seat(
    up: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """One machine alone is changed, in the modules that `expand` says the cluster stands for."""
    seats, disks = _seats(up), _data_disks(up)
    up.says(REPLACED, "touch", "/var/lib/etcd/of-the-kept-disk", "/root/of-the-old-system")
    network = {"network_name": "lab", "ip": up.address(REPLACED), "mac": MAC}
    up.write(yaml.safe_load(up.stack.run("expand", str(up.stack.file)).stdout))
    up.change(REPLACED, libvirt_network=network)
    pending = {address: change["action"] for address, change in up.plan().items()}
    assert pending == {f"machine.{REPLACED}": "replace"}
    with up.daemon.network(), writing(up.stack.dsn(), PATIENT) as ledger:
        up.stack.up()
        _goes_on(ledger)
        with capsys.disabled():
            print(f"\nreplaced {REPLACED}: no write for {ledger.longest_gap:.1f} s")  # noqa: T201
    assert up.plan() == {}
    up.stack.becomes_whole(LATE)
    assert MAC in up.virsh("dumpxml", REPLACED)
    assert "of-the-old-system" not in up.says(REPLACED, "ls", "/root")
    assert "of-the-kept-disk" in up.says(REPLACED, "ls", "/var/lib/etcd")
    assert _seats(up) == seats
    assert _data_disks(up) == disks
    assert not [name for name in up.volumes() if name.endswith(".iso")]


def _seats(up: Lab) -> str:
    """The members of etcd, with their ids."""
    cert, key = up.client_files()
    words = (f"--cert={cert}", f"--key={key}", f"--user=root:{PASSWORD}-root")
    listed = up.etcdctl(*words, "member", "list")
    assert listed.returncode == 0, listed.stderr
    return "\n".join(sorted(listed.stdout.splitlines()))


def _data_disks(up: Lab) -> set[str]:
    return {name for name in up.volumes() if "-data-" in name}


def test_destroy_with_data_leaves_nothing(up: Lab) -> None:
    up.stack.run("destroy", str(up.stack.file), "--yes", "--delete-data")
    assert up.volumes() == set()
    assert up.virsh("list", "--all", "--name").split() == []
    assert up.virsh("net-list", "--all", "--name").split() == []
