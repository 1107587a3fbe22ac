"""A cloud of one machine: OpenStack's real services, with nothing behind them but records.

Keystone, glance, placement, neutron, nova and cinder listen on an address of this machine's
loopback network. Nova's hypervisor is a fake one, which writes what it would give each guest;
cinder's volumes hold nothing; ports lead nowhere.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from support.openstack import initial
from support.openstack.environment import Environment, installed
from support.openstack.faults import Fault, Request, read_requests, tell
from support.openstack.guest import Guest
from support.openstack.processes import Processes
from support.openstack.services import PASSWORD, REGION, SERVICES, USERS

TRIES = 20


@dataclass(frozen=True)
class Lab:
    """A lab that runs. Its files are below `folder`."""

    folder: Path
    address: str
    processes: Processes

    @property
    def clouds(self) -> dict[str, Any]:
        """What a clouds.yaml says: `admin`, and the ordinary members `member` and `other`."""
        url = SERVICES["keystone"].url(self.address)
        return {"clouds": {name: _cloud(name, f"{url}/v3") for name in ("admin", *USERS)}}

    @cached_property
    def clouds_file(self) -> Path:
        """For the variable OS_CLIENT_CONFIG_FILE."""
        file = self.folder / "clouds.yaml"
        file.write_text(yaml.safe_dump(self.clouds))
        return file

    def connect(self, user: str) -> Any:
        """A connection of openstacksdk as one of the `clouds`."""
        import openstack  # noqa: PLC0415 - half a second

        cloud = self.clouds["clouds"][user]
        return openstack.connect(load_yaml_config=False, load_envvars=False, **cloud)

    @property
    def guests(self) -> dict[str, Guest]:
        """What runs on the hypervisor, by the servers' ids."""
        files = (self.folder / "guests").glob("*/guest.json")
        return {file.parent.name: Guest(file.parent) for file in files}

    @contextmanager
    def silent_guests(self) -> Iterator[None]:
        """Have guests say nothing by themselves while the block runs: somebody boots them."""
        said = self.folder / "guests" / "console"
        said.touch()
        try:
            yield
        finally:
            said.unlink()

    def kill(self, service: str) -> None:
        """Kill the process of a service: nova's includes all of its hosts, and spares guests."""
        self.processes.kill(service)

    def start(self, service: str) -> None:
        """Start a service again that was killed, or has died as it was told."""
        self.processes.start(service)

    def is_up(self, service: str) -> bool:
        """Whether the process of a service runs."""
        return self.processes.is_up(service)

    @contextmanager
    def failing(self, service: str, *faults: Fault) -> Iterator[None]:
        """Have requests to a service fail while the block runs."""
        tell(self.folder, service, faults)
        try:
            yield
        finally:
            tell(self.folder, service, ())

    @contextmanager
    def watching(self) -> Iterator[list[Request]]:
        """All requests while the block ran, also services'; the list is filled at its end."""
        before = {name: len(read_requests(self.folder, name)) for name in SERVICES}
        heard: list[Request] = []
        yield heard
        for name, count in before.items():
            heard += read_requests(self.folder, name)[count:]


def _cloud(user: str, url: str) -> dict[str, Any]:
    domains = {"user_domain_name": "Default", "project_domain_name": "Default"}
    auth = {"auth_url": url, "username": user, "password": PASSWORD, "project_name": user}
    return {"auth": {**auth, **domains}, "region_name": REGION}


@contextmanager
def running(environment: Environment | None = None) -> Iterator[Lab]:
    """A lab of one's own; nothing of it is left at the end.

    Raises `CommandFailed` if it cannot be installed, `NotReady` if it does not start.
    """
    made = environment or installed()
    with TemporaryDirectory(prefix="pgstead-lab-") as name, ExitStack() as at_end:
        folder, address = Path(name).resolve(), _free_address()
        initial.prepare(folder, made, address)
        processes = Processes(folder, made, address)
        at_end.callback(processes.stop_all)
        processes.start_all()
        yield Lab(folder, address, processes)


def _free_address() -> str:
    """One of loopback on which nobody listens at the services' ports."""
    for _ in range(TRIES):
        address = (
            f"127.{random.randint(100, 250)}.{random.randint(0, 255)}.{random.randint(2, 250)}"
        )
        if all(_is_free(address, one.port) for one in SERVICES.values()):
            return address
    raise AssertionError("no address of 127.0.0.0/8 is free")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((address, port))
        except OSError:
            return False
        return True
