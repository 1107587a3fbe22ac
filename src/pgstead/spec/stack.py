"""A stack: what a file says should exist, validated and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pgstead.spec.cluster import Cluster
from pgstead.spec.libvirt import LibvirtPlatform
from pgstead.spec.openstack import OpenStackPlatform
from pgstead.spec.settings import (
    CertificateAuthority,
    LocalPlatform,
    MemoryPlatform,
    Password,
    Sentinel,
    State,
)
from pgstead.spec.source import SourceMap, Tree, TreePath


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """A module as it was written: the kind of module, and its variables as a raw tree.

    References in the variables wait for `interpolate`.
    """

    key: str
    source: str
    variables: Mapping[str, Tree] = field(repr=False)

    @property
    def path(self) -> TreePath:
        """Where its variables stand in the stack file."""
        return ("modules", self.key)


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack file, validated. `modules` are those that `cluster`, if any, stands for.

    `written` is the file's own tree, and `source` tells where everything stands in it.
    """

    version: int
    name: str
    platform: LibvirtPlatform | LocalPlatform | MemoryPlatform | OpenStackPlatform
    state: State
    production: bool
    sentinel: Sentinel
    certificate_authorities: Mapping[str, CertificateAuthority]
    passwords: Mapping[str, Password]
    modules: Mapping[str, ModuleSource]
    cluster: Cluster | None
    warnings: tuple[str, ...]
    source: SourceMap = field(compare=False, repr=False)
    written: Mapping[str, Tree] = field(compare=False, repr=False)
