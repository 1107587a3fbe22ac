"""The cluster on seven virtual machines made by hand, as a yardstick for `pgstead up`.

Machines begin with the same texts as pgstead's: `--rendered` is what `pgstead render` wrote. Disks
over an image, seeds and domains are made by a straight script, which starts all machines at
once, turns etcd's authentication on, makes the application's role and database, and writes
through HAProxy. It imports nothing of pgstead.

Prints one line of JSON: `seconds` until the write, counted from the start of this process, and
`steps`, when each was done. What it made is removed afterwards.
"""

from __future__ import annotations

import functools
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import psycopg
import yaml
from handmade_asking import Etcd, elapsed, make_application, until, write
from handmade_lab import Lab, laboratory, parser

DEADLINE = 1200.0
EVERY = 0.5
"""Seconds between two looks: each takes emulated processors from those who boot."""

PASSWORDS = {"postgres": "superuser", "app": "application"}
"""PostgreSQL's roles, and what the stack file calls their passwords."""


@dataclass(frozen=True)
class Cluster:
    """What was rendered, and the passwords that were given."""

    rendered: Path
    passwords: dict[str, str]

    @functools.cached_property
    def machines(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(sorted(found.parent.name for found in self.rendered.glob("*/domain.xml")))

    def first(self, kind: str) -> str:
        """The address of the first machine of a kind."""
        name = next(one for one in self.machines if one.startswith(kind))
        network = yaml.safe_load((self.rendered / name / "cloud-init/network-config").read_text())
        address: str = network["ethernets"]["nic0"]["addresses"][0]
        return address.partition("/")[0]

    @functools.cached_property
    def patroni(self) -> Path:
        """A member's own files."""
        return self.rendered / "postgres-1" / "etc" / "patroni"

    @property
    def prefix(self) -> str:
        """What the names of Patroni's keys in etcd begin with."""
        identity = yaml.safe_load((self.patroni / "identity.yml").read_text())
        return f"{identity['namespace']}{identity['scope']}/"

    @property
    def etcd(self) -> Etcd:
        """The first member, as Patroni reaches it."""
        tls = self.patroni / "tls"
        client = ssl.create_default_context(cafile=tls / "ca.crt")
        client.load_cert_chain(tls / "etcd-client.crt", tls / "etcd-client.key")
        return Etcd(self.first("etcd"), client, timeout=10)

    def connect(self, role: str) -> psycopg.Connection[Any]:
        """A connection to the role's own database through HAProxy."""
        return psycopg.connect(
            host=self.first("load-balancer"),
            user=role,
            password=self.passwords[PASSWORDS[role]],
            dbname=role,
            sslmode="verify-full",
            sslrootcert=str(self.patroni / "tls" / "ca.crt"),
            connect_timeout=10,
            autocommit=True,
        )


def volumes(domain: Path) -> dict[str, str]:
    """The names of a domain's disks in its pool, by device."""
    found = {}
    for disk in ET.parse(domain).iterfind("devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if source is not None and target is not None:
            found[target.attrib["dev"]] = source.attrib["volume"]
    return found


def disks(lab: Lab, machine: Path) -> None:
    """A system over the image, a data disk where there is one, and the seed."""
    names = volumes(machine / "domain.xml")
    lab.overlay(names["vda"])
    if "vdb" in names:
        lab.disk(names["vdb"])
    lab.seed(names["sda"], *sorted((machine / "cloud-init").iterdir()))


def boot(lab: Lab, cluster: Cluster, image: Path) -> None:
    """Everything that machines stand on, then all of them at once."""
    lab.image(image)
    for name in cluster.machines:
        disks(lab, cluster.rendered / name)
    lab.pool("default")
    lab.network("bench", cluster.first("etcd").rpartition(".")[0])
    for name in cluster.machines:
        lab.start(name, cluster.rendered / name / "domain.xml")


def bring_up(lab: Lab, cluster: Cluster, image: Path) -> dict[str, Any]:
    """From nothing to the first write; returns what to print."""
    steps: dict[str, float] = {}
    wait = functools.partial(until, every=EVERY, within=DEADLINE)
    boot(lab, cluster, image)
    steps["machines started"] = elapsed()
    etcd, passwords = cluster.etcd, cluster.passwords
    wait("etcd has a leader", etcd.healthy)
    steps["etcd has a leader"] = elapsed()
    enable = functools.partial(etcd.enable_authentication, passwords, cluster.prefix)
    wait("etcd's authentication", enable)
    steps["etcd authentication"] = elapsed()
    application = functools.partial(make_application, cluster.connect, passwords["application"])
    wait("a primary behind HAProxy", application)
    steps["a primary behind HAProxy"] = elapsed()
    wait("the first write", functools.partial(write, cluster.connect))
    return {"seconds": elapsed(), "steps": steps}


def main() -> None:
    """Run once and print the seconds."""
    options = parser(__doc__)
    options.add_argument("--rendered", type=Path, required=True, help="what pgstead rendered")
    options.add_argument("--passwords", type=Path, required=True, help="JSON: name to password")
    arguments = options.parse_args()
    cluster = Cluster(arguments.rendered, json.loads(arguments.passwords.read_text()))
    with laboratory(arguments.parent) as lab:
        found = bring_up(lab, cluster, arguments.image)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
