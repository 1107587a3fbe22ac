"""Servers made in a cloud, beside a plain script of openstacksdk that asks for the same.

The cloud is the tests' own (`tests/support/openstack`): the real services, all on this machine,
with servers and volumes that hold nothing. So what is compared is what each of the two asks of
the cloud and how: security groups, a volume of the image, a port and a server for each machine,
as many side by side. `bench/servers_plain.py` is the script.

    bench/servers.py [--servers 30] [--rounds 2] [--large 200]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from measures import ROOT, Measure, keep, note, ratio, seconds, show

sys.path.append(str(ROOT / "tests"))
from pgstead.errors import PgsteadError
from support.openstack.environment import Environment, installed
from support.openstack.lab import running
from support.openstack.project import NAME, Project, project_in

PGSTEAD = Path(sys.executable).with_name("pgstead")
PLAIN = Path(__file__).with_name("servers_plain.py")
SERVERS = 30
LARGE = 200
ROUNDS = 2
LIMIT = 1.2  # times what the plain script takes
PLAN_LIMIT = 40  # requests of one plan, however many servers there are


def stack(count: int) -> dict[str, Any]:
    """So many load balancers, which need nothing outside of them; told all by user data."""
    haproxy = {"members": [{"name": "p", "ip": "10.7.0.9"}]}
    module = {"source": "postgres-load-balancer", "ca": "bench", "haproxy": haproxy}
    names = [f"balancer-{number}" for number in range(count)]
    platform = {"kind": "openstack", "cloud": "member", "image": NAME, "flavor": NAME}
    return {
        "name": "bench-servers",
        "platform": {**platform, "delivery": "user_data", "boot_from_volume": True},
        "certificate_authorities": {"bench": {}},
        "modules": {name: {**module, "name": name} for name in names},
    }


@contextmanager
def cloud(environment: Environment) -> Iterator[Project]:
    """A furnished project of a lab, to which the commands below are led."""
    with running(environment) as lab, project_in(lab) as project:
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(lab.clouds_file)
        try:
            yield project
        finally:
            del os.environ["OS_CLIENT_CONFIG_FILE"]


def measure(servers: int = SERVERS, rounds: int = ROUNDS, large: int = LARGE) -> list[Measure]:
    """Both ways to make them, and a plan; nothing where no lab can be installed."""
    try:
        import openstack  # noqa: F401, PLC0415 - may be missing

        environment = installed()
    except (PgsteadError, ImportError, OSError) as error:
        note(f"servers of a cloud are left out: {error}")
        return []
    with cloud(environment) as project, TemporaryDirectory(prefix="pgstead-servers-") as name:
        file = Path(name) / "stack.yaml"
        return [*_made(project, file, servers, rounds), *_planned(project, file, large)]


def _made(project: Project, file: Path, servers: int, rounds: int) -> list[Measure]:
    """Rounds of both by turns, so that both have the same machine beneath them."""
    file.write_text(yaml.safe_dump(stack(servers)))
    ours, plain = [], []
    for _ in range(rounds):
        ours.append(seconds([PGSTEAD, "up", file, "--yes"])[0])
        seconds([PGSTEAD, "destroy", file, "--yes", "--delete-data"])
        plain.append(seconds([sys.executable, PLAIN, str(servers)])[0])
        project.clear()
        note(f"{servers} servers: {ours[-1]:.1f} s, by the plain script {plain[-1]:.1f} s")
    up = Measure(f"cloud: up, {servers} servers", tuple(ours))
    script = Measure(f"cloud: {servers} servers, plain script", tuple(plain))
    rate = Measure("cloud: servers made a second", tuple(servers / one for one in ours), "/s")
    return [up, script, ratio("cloud: up against the plain script", up, script, LIMIT), rate]


def _planned(project: Project, file: Path, large: int) -> list[Measure]:
    """A plan with nothing to do: how long, and how many requests, for few and for many."""
    found = []
    for count in (large // 10, large):
        file.write_text(yaml.safe_dump(stack(count)))
        seconds([PGSTEAD, "up", file, "--yes"])
        with project.lab.watching() as requests:
            took = seconds([PGSTEAD, "plan", file])[0]
        asked = float(sum(one.is_from_client for one in requests))
        note(f"plan of {count} servers: {took:.2f} s, {asked:g} requests")
        found.append(Measure(f"cloud: plan, {count} servers made", (took,)))
        found.append(Measure(f"cloud: its requests, {count} servers", (asked,), "", PLAN_LIMIT))
    seconds([PGSTEAD, "destroy", file, "--yes", "--delete-data"])
    return found


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=SERVERS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--large", type=int, default=LARGE)
    given = parser.parse_args()
    measures = measure(given.servers, given.rounds, given.large)
    show(measures)
    keep(measures)


if __name__ == "__main__":
    main()
