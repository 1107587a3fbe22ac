"""What must hold between the modules of a stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pgstead.errors import SpecError
from pgstead.machine import Machine
from pgstead.membership import EtcdAccess, EtcdMember, PatroniMember
from pgstead.modules.parts.certificates import Issuing
from pgstead.modules.patroni_server.variables import PatroniServer
from pgstead.modules.postgres_load_balancer.variables import PostgresLoadBalancer
from pgstead.modules.registry import Kind
from pgstead.spec import ModuleSource, Stack
from pgstead.spec.nearest import suggestion

__all__ = [
    "Built",
    "check_agreement",
    "check_cards",
    "check_etcd_users",
    "check_names",
    "check_single_bootstrap",
    "unnamed_balancers",
]


@dataclass(frozen=True, slots=True)
class Built:
    """A module with what became of it."""

    module: ModuleSource
    kind: Kind
    variables: Issuing
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


def check_cards(stack: Stack, built: Sequence[Built]) -> None:
    """Raise `SpecError` if two interfaces have one MAC address, or one address of one network."""
    owners: dict[tuple[object, ...], str] = {}
    for one in built:
        for card in one.machine.guest.nics:
            network = card.network_id, card.network_name, card.macvtap
            for what, key in (("MAC", (card.mac,)), ("address", (card.address, *network))):
                other = owners.setdefault((what, *key), one.machine.name)
                if key[0] is not None and other != one.machine.name:
                    raise stack.source.error(
                        one.module.path,
                        f"machine {other!r} has the {what} {key[0]} already",
                    )


def check_agreement(stack: Stack, built: Sequence[Built]) -> None:
    """Raise `SpecError` if members of one cluster differ in what belongs to all of it."""
    first: dict[str, tuple[ModuleSource, dict[str, object]]] = {}
    for one in built:
        if one.kind.shared is None:
            continue
        group, values = one.kind.shared(one.variables)
        other, expected = first.setdefault(group, (one.module, dict(values)))
        # Members by different modules have different names for it, and are not compared.
        alike = [key for key in values if key in expected]
        different = next((key for key in alike if values[key] != expected[key]), None)
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


def check_etcd_users(stack: Stack, built: Sequence[Built]) -> None:
    """Raise `SpecError` if Patroni's etcd user cannot write where Patroni keeps its state.

    Users of an etcd cluster outside the stack are not known.
    """
    access = {
        member.cluster: member.access
        for one in built
        if isinstance(member := one.machine.membership, EtcdMember) and member.access is not None
    }
    for one in built:
        membership = one.machine.membership
        if isinstance(membership, PatroniMember) and isinstance(one.variables, PatroniServer):
            found = access.get(membership.etcd_cluster or "")
            if found is not None:
                _check_etcd_user(stack, one.module, one.variables, found)


def _check_etcd_user(
    stack: Stack, module: ModuleSource, variables: PatroniServer, access: EtcdAccess
) -> None:
    name, patroni = variables.etcd.username, variables.patroni
    place = "/".join(("", *patroni.namespace.strip("/").split("/"), patroni.scope, ""))
    users = {user.name: user for user in access.users}
    if name == "root":
        return
    if name not in users:
        unknown = f"etcd has no user {name!r}{suggestion(name, users)}"
        words = unknown if name else "is required: the etcd cluster has users, with passwords"
        raise stack.source.error((*module.path, "etcd", "username"), words)
    if not place.startswith(users[name].prefixes):
        raise stack.source.error(
            (*module.path, "etcd", "username"),
            f"etcd's user {name!r} may not write to {place}, where Patroni keeps its state",
            hint=f"Add {place} to the user's prefixes.",
        )


def unnamed_balancers(built: Sequence[Built]) -> Iterator[tuple[str, str]]:
    """Modules whose certificate lacks a load balancer in front of it, each with a warning."""
    fronts = _fronts(built)
    for one in built:
        variables = one.variables
        if not isinstance(variables, PatroniServer) or variables.ca is None:
            continue
        lacking = sorted(fronts.get(one.machine.address, set()) - set(variables.certificate_names))
        if lacking:
            warning = (
                f"certificate_names lacks {', '.join(lacking)}: clients that verify the server"
                " (sslmode=verify-full) are refused through that load balancer."
            )
            yield one.module.key, warning


def _fronts(built: Sequence[Built]) -> Mapping[str, set[str]]:
    """The load balancers' addresses, by the member that they are in front of."""
    fronts: dict[str, set[str]] = {}
    for one in built:
        if isinstance(one.variables, PostgresLoadBalancer):
            for member in one.variables.haproxy.members:
                fronts.setdefault(member.ip, set()).add(one.machine.address)
    return fronts
