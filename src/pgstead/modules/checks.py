"""What must hold between the modules of a stack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pgstead.errors import SpecError
from pgstead.machine import Machine
from pgstead.membership import EtcdMember
from pgstead.modules.parts.guest import Guest
from pgstead.modules.registry import Kind
from pgstead.spec import ModuleSource, Stack

__all__ = ["Built", "check_agreement", "check_names", "check_single_bootstrap"]


@dataclass(frozen=True, slots=True)
class Built:
    """A module with what became of it."""

    module: ModuleSource
    kind: Kind
    variables: Guest
    machine: Machine


def check_names(stack: Stack, named: Iterable[tuple[ModuleSource, str]]) -> None:
    """Raise `SpecError` if two modules make machines of the same name."""
    owners: dict[str, ModuleSource] = {}
    for module, name in named:
        other = owners.setdefault(name, module)
        if other is not module:
            raise stack.source.error(
                (*module.path, "name"), f"modules.{other.key} has the name {name!r} already"
            )


def check_agreement(stack: Stack, built: Sequence[Built]) -> None:
    """Raise `SpecError` if members of one cluster differ in what belongs to all of it."""
    first: dict[str, tuple[ModuleSource, dict[str, object]]] = {}
    for one in built:
        if one.kind.shared is None:
            continue
        group, values = one.kind.shared(one.variables)
        other, expected = first.setdefault(group, (one.module, dict(values)))
        different = next((key for key in values if values[key] != expected[key]), None)
        if different is not None:
            raise stack.source.error(
                (*one.module.path, *different.split(".")),
                f"differs from modules.{other.key}: {different} is the same for all members of"
                f" {group}",
                hint="Give both modules the same value.",
            )


def check_single_bootstrap(built: Sequence[Built]) -> None:
    """Raise `SpecError` if several members of an etcd cluster set up its authentication."""
    first: dict[str, str] = {}
    for one in built:
        membership = one.machine.membership
        if not isinstance(membership, EtcdMember) or membership.access is None:
            continue
        other = first.setdefault(membership.cluster, one.module.key)
        if other != one.module.key:
            raise SpecError(
                f"modules.{other} and modules.{one.module.key} both set up authentication of etcd"
                f" cluster {membership.cluster!r}",
                hint="Leave authentication_bootstrap.bootstrap true on one of them.",
            )
