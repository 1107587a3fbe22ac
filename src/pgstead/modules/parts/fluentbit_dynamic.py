"""fluent-bit's configuration from elsewhere, an etcd prefix or a git repository, kept current."""

from __future__ import annotations

import json
from importlib import resources
from typing import Literal, Self

from pydantic import Field, model_validator

from pgstead.machine import (
    Command,
    Directory,
    File,
    OnChange,
    Package,
    Service,
    Software,
    path,
)
from pgstead.modules.parts.model import Line, Many, MaybeLine, Model, Secret, problem, reveal
from pgstead.modules.parts.scripts import FOLDER as SCRIPTS
from pgstead.modules.parts.scripts import folders

__all__ = [
    "CURRENT",
    "CUSTOMIZATION",
    "DynamicConfiguration",
    "EtcdConfiguration",
    "EtcdStore",
    "dynamic_software",
]

CUSTOMIZATION = "/etc/fluent-bit-customization"
CURRENT = f"{CUSTOMIZATION}/dynamic-config"
"""A link to the newest version; its index.conf is what fluent-bit reads."""

SOURCE = f"{CUSTOMIZATION}/source"
STATE = "/var/lib/fluent-bit-configuration"
SETTINGS = f"{SOURCE}/settings.json"
NAME = "fluent-bit-configuration"
INTERVAL = 30
"""Seconds between two looks for a newer configuration."""


class StoreClient(Model):
    """How the etcd cluster is logged in to: by certificate, or by user and password."""

    certificate: str = Field(default="", description="Client certificate, in PEM.")
    key: Secret | None = Field(default=None, description="Private key of it, in PEM.")
    username: Line = Field(default="", pattern=r"^[^:]*$", description="User; or a certificate.")
    password: Secret | None = Field(default=None, description="Password of the user.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.certificate) != bool(reveal(self.key)):
            raise ValueError("give both of client.certificate and client.key, or none")
        if bool(self.username) != bool(reveal(self.password)):
            raise ValueError("give both of client.username and client.password, or none")
        return self


class EtcdConfiguration(Model):
    """An etcd cluster, and the prefix of the keys that are files of the configuration."""

    key_prefix: Line = Field(
        default="", description="Prefix of the keys; the rest of a key is a file's path."
    )
    endpoints: Many[Line] = Field(default=(), description='Members of the cluster, "ip:port".')
    ca_certificate: str = Field(
        default="", description="Certificate of the authority of the members, in PEM."
    )
    client: StoreClient = Field(default_factory=StoreClient, description="How to log in.")
    vault_agent_secret_path: MaybeLine = Field(
        default=None, description="Refused if given: there is no Vault agent; give client."
    )

    @model_validator(mode="after")
    def _without_vault(self) -> Self:
        if self.vault_agent_secret_path is not None:
            words = "needs a Vault agent, which pgstead does not set up; give client instead"
            raise problem(words, "vault_agent_secret_path")
        return self

    def require(self, *place: str) -> None:
        """Raise `ValueError` if nothing could be fetched; `place` is where this stands."""
        for name in ("key_prefix", "endpoints", "ca_certificate"):
            if not getattr(self, name):
                raise problem("is required where the configuration comes from etcd", *place, name)
        for endpoint in self.endpoints:
            address, _, port = endpoint.rpartition(":")
            if not address or "/" in address or not port.isdecimal():
                raise problem(f'{endpoint} is not of the form "ip:port"', *place, "endpoints")


class EtcdStore(EtcdConfiguration):
    """An etcd cluster that holds the configuration, and whether it does."""

    enabled: bool = Field(
        default=False, description="Whether the configuration is fetched from there."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.enabled:
            self.require()
        return self


class GitAuthentication(Model):
    """How a git repository is reached by SSH."""

    client_ssh_key: Secret | None = Field(default=None, description="Private SSH key.")
    client_ssh_user: Line = Field(
        default="", pattern=r"^[A-Za-z0-9._-]*$", description="User there, if not in the URL."
    )
    server_ssh_fingerprint: Line = Field(
        default="",
        description='The server\'s host key, as "TYPE BASE64", or its fingerprint, "SHA256:...".',
    )


class Git(Model):
    """A git repository that holds the configuration."""

    repo: Line = Field(default="", pattern=r"^[^-]|^$", description="URL of the repository.")
    ref: Line = Field(default="", pattern=r"^[^-]|^$", description="Branch or tag to follow.")
    path: Line = Field(default="", description="Folder within the repository.")
    trusted_gpg_keys: Many[str] = Field(
        default=(),
        description="Public keys; commits without a signature of one of them are not taken.",
    )
    auth: GitAuthentication = Field(
        default_factory=GitAuthentication, description="How the repository is reached by SSH."
    )

    def require(self) -> None:
        """Raise `ValueError` if nothing could be fetched, or from anyone."""
        for name in ("repo", "ref"):
            if not getattr(self, name):
                raise problem("is required where the configuration comes from git", "git", name)
        if reveal(self.auth.client_ssh_key) and not self.auth.server_ssh_fingerprint:
            words = "is required beside client_ssh_key: the server must be known"
            raise problem(words, "git", "auth", "server_ssh_fingerprint")


class DynamicConfiguration(Model):
    """fluent-bit's configuration from elsewhere, kept current."""

    enabled: bool = Field(default=False, description="Whether it comes from elsewhere.")
    source: Literal["etcd", "git"] = Field(default="etcd", description="Where it comes from.")
    etcd: EtcdConfiguration = Field(
        default_factory=EtcdConfiguration, description="The etcd cluster, for the source etcd."
    )
    git: Git = Field(default_factory=Git, description="The repository, for the source git.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.enabled and self.source == "etcd":
            self.etcd.require("etcd")
        elif self.enabled:
            self.git.require()
        return self

    def or_store(self, store: EtcdStore) -> DynamicConfiguration:
        """This, or what the older form of the variables says."""
        if self.enabled or not store.enabled:
            return self
        etcd = EtcdConfiguration.model_construct(
            **{name: getattr(store, name) for name in EtcdConfiguration.model_fields}
        )
        return DynamicConfiguration.model_construct(
            enabled=True, source="etcd", etcd=etcd, git=Git()
        )


def dynamic_software(variables: DynamicConfiguration, *, install: bool) -> Software:
    """What fetches the configuration; nothing if it is the machine's own."""
    if not variables.enabled:
        return Software()
    packages = ("etcd-client",) if variables.source == "etcd" else ("git", "gpg", "openssh-client")
    program = ("/usr/bin/python3", path(f"{SCRIPTS}/{NAME}.py"), path(SETTINGS))
    return Software(
        packages=tuple(Package(name) for name in packages) if install else (),
        directories=(
            *folders(),
            Directory(SOURCE, mode=0o700),
            Directory(STATE, mode=0o700),
        ),
        files=(_program(), *_settings(variables)),
        # Until the first version is there, the defaults are what is read.
        setup=(Command(NAME, (*program, "--defaults"), creates=f"{CURRENT}/index.conf"),),
        services=(Service(NAME, program, stop_seconds=10, guest_only=True),),
    )


def _program() -> File:
    text = resources.files("pgstead.modules.parts").joinpath("fluentbit_updater.py")
    return File(
        f"{SCRIPTS}/{NAME}.py",
        text.read_text(encoding="utf-8"),
        mode=0o755,
        on_change=OnChange.RESTART,
        service=NAME,
    )


def _settings(variables: DynamicConfiguration) -> tuple[File, ...]:
    """What the program reads: where things are, and the secrets each in a file of its own."""
    chosen, texts = _etcd(variables.etcd) if variables.source == "etcd" else _git(variables.git)
    settings = {
        "source": variables.source,
        "current": path(CURRENT),
        "state": path(STATE),
        "defaults": path(f"{CUSTOMIZATION}/default-config"),
        "interval": INTERVAL,
        "reload": ["/usr/bin/systemctl", "reload", "fluent-bit"],
        variables.source: chosen,
    }
    texts["settings.json"] = json.dumps(settings, indent=2) + "\n"
    return tuple(
        File(
            f"{SOURCE}/{name}",
            text,
            mode=0o600,
            secret=True,
            on_change=OnChange.RESTART,
            service=NAME,
        )
        for name, text in texts.items()
    )


def _etcd(etcd: EtcdConfiguration) -> tuple[dict[str, object], dict[str, str]]:
    texts = {"etcd-ca.crt": _ended(etcd.ca_certificate)}
    chosen: dict[str, object] = {
        "prefix": etcd.key_prefix,
        "endpoints": list(etcd.endpoints),
        "ca": path(f"{SOURCE}/etcd-ca.crt"),
    }
    client = etcd.client
    if client.certificate:
        texts |= {
            "etcd-client.crt": _ended(client.certificate),
            "etcd-client.key": _ended(reveal(client.key)),
        }
        chosen["certificate"] = path(f"{SOURCE}/etcd-client.crt")
        chosen["key"] = path(f"{SOURCE}/etcd-client.key")
    if client.username:
        chosen["user"] = f"{client.username}:{reveal(client.password)}"
    return chosen, texts


def _git(git: Git) -> tuple[dict[str, object], dict[str, str]]:
    texts = {f"trusted-{n}.asc": _ended(key) for n, key in enumerate(git.trusted_gpg_keys, 1)}
    chosen: dict[str, object] = {
        "repo": git.repo,
        "ref": git.ref,
        "path": git.path,
        "trusted_keys": [path(f"{SOURCE}/{name}") for name in texts],
        "ssh_user": git.auth.client_ssh_user,
        "host_key": git.auth.server_ssh_fingerprint,
    }
    key = reveal(git.auth.client_ssh_key)
    if key:
        texts["client-ssh.key"] = _ended(key)
        chosen["ssh_key"] = path(f"{SOURCE}/client-ssh.key")
    return chosen, texts


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
