"""Servers in containers on a guest: images, registries, and the script that runs one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from pgstead.machine import Command, Directory, File, OnChange, Package, Software, path
from pgstead.modules.parts.model import Line, MaybeLine, Model, Secret, problem, reveal
from pgstead.modules.parts.scripts import DONE, call, folders, script

__all__ = [
    "READY_SECONDS",
    "Container",
    "ContainerRegistry",
    "Image",
    "Runtime",
    "afterwards",
    "container_software",
    "first_start",
    "qualified",
    "registry_cautions",
    "require_encrypted",
    "run_in",
]

# Docker starts no container where the kernel has AppArmor, but the machine no program for it.
PACKAGES = {"podman": ("podman",), "docker": ("docker.io", "apparmor")}
FOLDER = "/etc/pgstead-containers"
CREDENTIALS = f"{FOLDER}/config.json"
"""Both podman (`--authfile`) and docker (`--config`, its folder) read this form of it."""

AUTHORITIES = {"podman": "/etc/containers/certs.d", "docker": "/etc/docker/certs.d"}
"""Where each looks for the authorities of registries, in folders of their names."""

HUB = "docker.io"

STOPS = ("INT", "QUIT", "TERM")
TELLS = {"HUP": 1, "USR1": 10, "USR2": 12}
"""Signals that end a server, and those that do not, with their numbers (signal(7))."""

READY_SECONDS = 300.0
"""Within which a server in a container accepts; on a slow host, its runtime takes a minute."""

Runtime = Literal["podman", "docker"]


def _image(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w./:@-]*", text):
        raise ValueError("must be an image such as postgres:16 or registry.local/postgres:16")
    return text


Image = Annotated[str, AfterValidator(_image)]
"""A reference to a container image."""


class ContainerRegistry(Model):
    """A registry of container images that wants a user and a password."""

    url: MaybeLine = Field(
        default=None,
        pattern=r"^https?://[^/\s?#@]+/?$",
        description="URL of the registry, e.g. https://registry.local:5000.",
    )
    username: Line = Field(default="", pattern=r"^[^:]*$", description="User of the registry.")
    password: Secret | None = Field(default=None, description="Password of that user.")
    ca_certificate: str = Field(
        default="",
        description=(
            "Certificate, in PEM, of the authority that signed the registry's, if machines do"
            " not trust it anyway. Ours."
        ),
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.username) != bool(reveal(self.password)):
            raise ValueError("give both of username and password, or none")
        if self.url is None and (self.username or self.ca_certificate):
            beside = "username" if self.username else "ca_certificate"
            raise problem(f"is required beside {beside}", "url")
        return self

    @property
    def host(self) -> str | None:
        """Host and port of the registry."""
        return None if self.url is None else self.url.partition("://")[2].rstrip("/")

    @property
    def encrypted(self) -> bool:
        """Whether the registry is spoken to by TLS."""
        return self.url is None or self.url.startswith("https:")

    @property
    def login(self) -> SecretStr | None:
        """User and password as containers' tools keep them; None where there are none."""
        if not self.username:
            return None
        pair = f"{self.username}:{reveal(self.password)}"
        return SecretStr(base64.b64encode(pair.encode()).decode())

    @property
    def derived_secrets(self) -> tuple[SecretStr, ...]:
        """What gives the password away in other words (`modules.secrets`)."""
        return () if self.login is None else (self.login,)


def qualified(image: str, registry: str | None = None) -> str:
    """`image` with its registry: the one it names, the one given, or Docker Hub.

    A first part with a dot or a port is a registry (the Docker reference grammar).
    """
    first, slash, _ = image.partition("/")
    if slash and (re.search("[.:]", first) or first == "localhost"):
        return image
    if registry is not None:
        return f"{registry}/{image}"
    return f"{HUB}/{image}" if slash else f"{HUB}/library/{image}"


@dataclass(frozen=True, slots=True)
class Container:
    """A server in a container, in the host's network and with the host's users.

    `mounts` maps folders of the machine to the container's, with `:ro` where it only
    reads. `environment_file` is one by its path on the machine.
    """

    name: str
    image: str
    user: str
    runtime: Runtime
    mounts: Mapping[str, str]
    environment: Mapping[str, str]
    environment_file: str | None = None
    registry: ContainerRegistry | None = None


def container_software(
    container: Container,
    *,
    install: bool,
    package: str = "pgstead.modules.parts",
    template: str = "container.j2",
    **values: object,
) -> Software:
    """Runtime, credentials, and the script that pulls and runs the image (`run_in`)."""
    # Another image is fetched while the old one serves on.
    image = hashlib.sha256(container.image.encode()).hexdigest()[:12]
    pulled = f"{DONE}/{container.name}-image-{image}"
    file = script(
        package,
        template,
        name=_script(container.name),
        service=container.name,
        container=container,
        podman=container.runtime == "podman",
        path=path,
        pulled=pulled,
        credentials=CREDENTIALS if _has_credentials(container) else None,
        credentials_folder=FOLDER,
        plain_http=not (container.registry or ContainerRegistry()).encrypted,
        stops=STOPS,
        tells=TELLS,
        **values,
    )
    return Software(
        packages=tuple(map(Package, PACKAGES[container.runtime])) if install else (),
        directories=(*folders(), Directory(FOLDER, mode=0o700)),
        files=(*_credentials(container), *_authority(container), file),
        setup=(Command("pull", call(_script(container.name), "pull"), creates=pulled),),
    )


def run_in(name: str, *words: str) -> tuple[str, ...]:
    """The command line that runs those words in the container of that name."""
    return call(_script(name), "run", *words)


def afterwards(name: str) -> tuple[str, ...]:
    """The command line that ends what is left of that container once its service has ended."""
    return call(_script(name), "end")


def require_encrypted(runtime: Runtime, registry: ContainerRegistry) -> None:
    """Raise `Problems` for a registry without TLS that the runtime does not pull from."""
    if runtime == "docker" and not registry.encrypted:
        words = "docker pulls by https only, but for registries that its daemon is told of"
        raise problem(words, "container_registry", "url")


def registry_cautions(registry: ContainerRegistry) -> Iterator[str]:
    """What is allowed, but known to hurt."""
    if not registry.encrypted:
        yield (
            "container_registry.url is not https: whoever is in between reads the password and"
            " can give another image."
        )


def first_start(name: str) -> tuple[str, ...]:
    """The command line that has the image make what it makes at its first start."""
    return call(_script(name), "initialize")


def _script(name: str) -> str:
    return f"{name}-container"


def _has_credentials(container: Container) -> bool:
    return container.registry is not None and bool(container.registry.username)


def _credentials(container: Container) -> tuple[File, ...]:
    registry = container.registry
    if registry is None or registry.login is None:
        return ()
    auths = {registry.host: {"auth": reveal(registry.login)}}
    text = json.dumps({"auths": auths}, indent=2) + "\n"
    # Read when an image is pulled, and then only.
    return (File(CREDENTIALS, text, mode=0o600, secret=True, on_change=OnChange.RELOAD),)


def _authority(container: Container) -> tuple[File, ...]:
    registry = container.registry
    if registry is None or not registry.ca_certificate:
        return ()
    place = f"{AUTHORITIES[container.runtime]}/{registry.host}/ca.crt"
    text = registry.ca_certificate.rstrip() + "\n"
    return (File(place, text, mode=0o644, on_change=OnChange.RELOAD),)
