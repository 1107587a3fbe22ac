"""The quickstart's stack by hand: what a straight script needs, as a yardstick for `pgstead up`.

Three etcd, three Patroni members and one HAProxy on loopback addresses, with TLS and the
quickstart's settings, from nothing to the first write through HAProxy, then until every
member is ready with a named synchronous standby. Imports nothing of pgstead.

Prints one line of JSON: `first_write_seconds`, `ready_seconds` and `steps`, all counted
from the start of this process. What it made is removed afterwards.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
from handmade_asking import Etcd, elapsed, make_application, until, write
from handmade_files import SCOPE, Layout, render

PREFIX = f"/service/{SCOPE}/"
STAGGER = 0.08  # seconds; etcd members started at the same instant often stall for two


def free_network() -> str:
    """The first three numbers of a 127.a.b.0 network in which nothing listens on our ports."""
    for _ in range(100):
        network = f"127.{secrets.randbelow(100) + 100}.{secrets.randbelow(250) + 1}"
        if all(_free(f"{network}.{host}", port) for host in (11, 21, 31) for port in (2379, 5432)):
            return network
    raise RuntimeError("no free loopback network after 100 tries")


def _free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) != 0


@dataclass(frozen=True)
class Lab(Layout):
    """Where everything is, what runs, and when each step was done."""

    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)

    def mark(self, step: str) -> float:
        """Note that a step is done; returns when, in seconds."""
        self.steps[step] = elapsed()
        return self.steps[step]

    def spawn(self, name: str, *argv: str) -> None:
        """Start a server as the unprivileged user, its output going to a log file."""
        with (self.folder / "log" / name).open("wb") as log:
            self.running[name] = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
                env={"PATH": f"{self.postgresql}:/usr/bin:/bin", "LANG": "C.UTF-8"},
                start_new_session=True,
            )

    @functools.cached_property
    def client(self) -> ssl.SSLContext:
        """How this script reaches etcd and Patroni."""
        context = ssl.create_default_context(cafile=self.tls("ca.crt"))
        context.load_cert_chain(self.tls("client.crt"), self.tls("client.key"))
        return context

    @property
    def etcd(self) -> Etcd:
        """A member of etcd."""
        return Etcd(next(iter(self.etcds.values())), self.client, timeout=0.3)

    def connect(self, role: str) -> psycopg.Connection[Any]:
        """A connection to the role's own database through HAProxy."""
        return psycopg.connect(
            host=self.balancer,
            user=role,
            password=self.passwords[role],
            dbname=role,
            sslmode="verify-full",
            sslrootcert=self.tls("ca.crt"),
            connect_timeout=3,
            autocommit=True,
        )


# --- the way up -------------------------------------------------------------------------


def start_etcd(lab: Lab) -> None:
    """Start the members one after another, and wait until one of them knows a leader."""
    for name in lab.etcds:
        lab.spawn(name, "etcd", f"--config-file={lab.folder / name}.yml")
        time.sleep(STAGGER)
    until("etcd has a leader", lab.etcd.healthy)
    lab.mark("etcd has a leader")


def enable_authentication(lab: Lab) -> None:
    """Patroni's own user, confined to its keys."""
    lab.etcd.enable_authentication(lab.passwords, PREFIX)
    lab.mark("etcd authentication")


def first_write(lab: Lab) -> None:
    """The application's role and database as soon as there is a primary; its first write."""
    until("a primary behind HAProxy", lambda: make_application(lab.connect, lab.passwords["app"]))
    write(lab.connect)


def ready(lab: Lab) -> bool | None:
    """Whether every member runs, and one of the others is a named synchronous standby."""
    address = next(iter(lab.members.values()))
    connection = http.client.HTTPSConnection(address, 4443, context=lab.client, timeout=2)
    with contextlib.closing(connection):
        connection.request("GET", "/cluster")
        members = json.loads(connection.getresponse().read()).get("members", [])
    running = [m for m in members if m["state"] in {"running", "streaming"}]
    named = any(m["role"] in {"sync_standby", "quorum_standby"} for m in running)
    return True if len(running) == len(lab.members) and named else None


def bring_up(lab: Lab) -> dict[str, Any]:
    """From nothing to ready; returns what to print."""
    render(lab)
    lab.mark("rendered")
    lab.spawn("haproxy", _program("haproxy"), "-db", "-f", str(lab.folder / "haproxy.cfg"))
    start_etcd(lab)
    enable_authentication(lab)
    for name in lab.members:
        patroni = str(Path(sys.executable).with_name("patroni"))
        lab.spawn(name, patroni, str(lab.folder / f"{name}.yml"))
    first_write(lab)
    first = lab.mark("first write")
    until("all members ready", lambda: ready(lab), every=0.05)
    subprocess.run(["sync", "-f", str(lab.folder)], check=True)  # nothing was synced so far
    return {"first_write_seconds": first, "ready_seconds": lab.mark("ready"), "steps": lab.steps}


def _program(name: str) -> str:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") or name


# --- the way down -----------------------------------------------------------------------


def clean_up(lab: Lab) -> None:
    """End every process that was started here, and remove the folder."""
    for process in lab.running.values():
        process.kill()  # Patroni first of all dies without a word to its PostgreSQL
        process.wait(10)
    postmasters = [found for name in lab.members if (found := _postmaster(lab, name))]
    for postmaster in postmasters:
        postmaster.send_signal(signal.SIGQUIT)
    for postmaster in postmasters:
        until(f"process {postmaster.pid} ends", functools.partial(_gone, postmaster))
    shutil.rmtree(lab.folder, ignore_errors=True)


def _postmaster(lab: Lab, name: str) -> psutil.Process | None:
    with contextlib.suppress(OSError, ValueError, IndexError, psutil.NoSuchProcess):
        pid = (lab.folder / "data" / name / "postmaster.pid").read_text().split()[0]
        process = psutil.Process(int(pid))
        return process if process.name() == "postgres" else None
    return None


def _gone(process: psutil.Process) -> bool | None:
    try:
        return True if process.status() == psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return True


@contextlib.contextmanager
def laboratory(parent: Path) -> Iterator[Lab]:
    """A lab in a new folder, cleaned up whatever happens."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    lab = Lab(
        folder=Path(tempfile.mkdtemp(prefix="handmade-", dir=parent)),
        network=free_network(),
        user="postgres" if os.geteuid() == 0 else None,
        postgresql=versions[-1],
    )
    try:
        yield lab
    except BaseException:
        for log in sorted((lab.folder / "log").glob("*")):
            print(f"--- {log.name}", *log.read_text().splitlines()[-5:], sep="\n", file=sys.stderr)
        raise
    finally:
        clean_up(lab)


def main() -> None:
    """Run once and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=Path, default=Path("/var/tmp"), help="where to work")
    arguments = parser.parse_args()
    with laboratory(arguments.parent) as lab:
        print(json.dumps(bring_up(lab)), flush=True)


if __name__ == "__main__":
    main()
