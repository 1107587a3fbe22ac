"""A stack's modules, all together, to machines.

blueprint = build(stack, Context(facts, materials))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

from pgstead.certificates import Authority
from pgstead.errors import SpecError
from pgstead.machine import Machine
from pgstead.membership import EtcdMember, PatroniMember
from pgstead.modules.base import Context
from pgstead.modules.checks import (
    Built,
    check_agreement,
    check_cards,
    check_etcd_users,
    check_names,
    check_single_bootstrap,
    unnamed_balancers,
)
from pgstead.modules.etcd_server.variables import EtcdServer
from pgstead.modules.outputs import OutputValue
from pgstead.modules.parts.certificates import Issuing
from pgstead.modules.parts.cloud import existing_port
from pgstead.modules.parts.interfaces import wanted_address
from pgstead.modules.parts.model import reveal
from pgstead.modules.patroni_server.variables import PatroniServer
from pgstead.modules.registry import KINDS, MODELS
from pgstead.modules.resolving import Resolver
from pgstead.modules.secrets import secrets_of
from pgstead.modules.timings import ClusterTimings, cluster_timings, joint_cautions
from pgstead.spec import ModuleSource, Stack, Tree, parse
from pgstead.spec.collecting import Collected
from pgstead.spec.nearest import suggestion

__all__ = ["KINDS", "MODELS", "Blueprint", "OutputValue", "build"]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What a stack stands for: its machines, in the file's order, and its modules' outputs.

    `outputs` is by module and output; `warnings` are whole sentences; `timings` are those of
    each Patroni cluster. `secrets` are those that the modules' own variables hold.
    """

    machines: tuple[Machine, ...]
    outputs: Mapping[str, Mapping[str, OutputValue]]
    warnings: tuple[str, ...]
    timings: tuple[ClusterTimings, ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


def build(stack: Stack, context: Context) -> Blueprint:
    """The machines and outputs of all modules. Raises `SpecError` and `MissingSoftware`."""
    context = replace(context, authorities=_authorities(stack))
    resolver = Resolver(stack, context)
    modules = tuple(stack.modules.values())
    _reserve(stack, modules, resolver, context)
    parsed = _parsed(stack, modules, resolver)
    context = replace(context, etcd_managed=_managed(parsed.values()))
    built = _joined([_built(stack, module, resolver, parsed, context) for module in modules])
    check_cards(stack, built)
    check_agreement(stack, built)
    check_single_bootstrap(built)
    check_etcd_users(stack, built)
    timings = cluster_timings(built)
    return Blueprint(
        machines=tuple(one.machine for one in built),
        outputs={module.key: _outputs(module, resolver) for module in modules},
        warnings=_warnings(built, joint_cautions(timings)),
        timings=timings,
        secrets=frozenset(text for one in parsed.values() for text in secrets_of(one)),
    )


def _authorities(stack: Stack) -> Mapping[str, Authority | None]:
    return MappingProxyType(
        {
            name: None
            if given.certificate is None
            else Authority(given.certificate, reveal(given.key) or None)
            for name, given in stack.certificate_authorities.items()
        }
    )


def _reserve(
    stack: Stack, modules: Sequence[ModuleSource], resolver: Resolver, context: Context
) -> None:
    """Addresses for all machines at once: one by one, a platform looks around each time."""
    for module in modules:
        resolver.kind(module)  # an unknown one before anything else
    names = [(module, resolver.name(module)) for module in modules]
    check_names(stack, names)
    for module, _ in names:
        if existing_port(module.variables.get) is not None:
            resolver.address(module)  # the port's: no platform chooses it
    context.materials.reserve(
        name for module, name in names if wanted_address(module.variables.get) is None
    )


def _parsed(
    stack: Stack, modules: Sequence[ModuleSource], resolver: Resolver
) -> Mapping[str, Issuing]:
    """The variables of each module, by key; what is wrong in any of them is told at once."""
    trees = [(module, resolver.variables(module)) for module in modules]
    found = Collected(stack.source)

    def variables(module: ModuleSource, tree: Tree) -> Issuing:
        return parse(resolver.kind(module).model, tree, stack.source, module.path)

    each = {one.key: found.attempt(partial(variables, one, tree)) for one, tree in trees}
    found.tell()
    return {key: one for key, one in each.items() if one is not None}


def _managed(parsed: Iterable[Issuing]) -> frozenset[str]:
    """The tokens of etcd clusters of which a member bootstraps authentication."""
    members = (one for one in parsed if isinstance(one, EtcdServer))
    return frozenset(
        one.cluster.initial_token for one in members if one.authentication_bootstrap.bootstrap
    )


def _built(
    stack: Stack,
    module: ModuleSource,
    resolver: Resolver,
    parsed: Mapping[str, Issuing],
    context: Context,
) -> Built:
    kind, variables = resolver.kind(module), parsed[module.key]
    if isinstance(variables.ca, str) and variables.ca not in stack.certificate_authorities:
        known = suggestion(variables.ca, stack.certificate_authorities)
        words = f"there is no certificate authority {variables.ca!r}{known}"
        raise stack.source.error((*module.path, "ca"), words)
    machine = kind.machine(variables, replace(context, module=module.key))
    return Built(module, kind, variables, machine)


def _joined(built: Sequence[Built]) -> Sequence[Built]:
    """The same, Patroni's machines told which of the stack's etcd clusters is theirs."""
    members = {
        f"{member.address}:{member.client_port}": (member.cluster, one.machine.name)
        for one in built
        if isinstance(member := one.machine.membership, EtcdMember)
    }
    return [replace(one, machine=_with_etcd(one, members)) for one in built]


def _with_etcd(one: Built, members: Mapping[str, tuple[str, str]]) -> Machine:
    membership, variables = one.machine.membership, one.variables
    if not isinstance(membership, PatroniMember) or not isinstance(variables, PatroniServer):
        return one.machine
    used = [members[endpoint] for endpoint in variables.etcd.endpoints if endpoint in members]
    clusters = sorted({cluster for cluster, _ in used})
    if len(clusters) > 1:
        raise SpecError(
            f"modules.{one.module.key}: etcd.endpoints belong to several clusters:"
            f" {', '.join(clusters)}",
            hint="Name the members of one cluster.",
        )
    if not clusters:
        return one.machine
    return replace(
        one.machine,
        membership=replace(membership, etcd_cluster=clusters[0]),
        after=tuple(dict.fromkeys(name for _, name in used)),
    )


def _outputs(module: ModuleSource, resolver: Resolver) -> Mapping[str, OutputValue]:
    return {name: resolver.output(module.key, name) for name in resolver.kind(module).outputs}


def _warnings(built: Sequence[Built], joint: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Each warning once, with the modules that it is about."""
    about: dict[str, list[str]] = {}
    own = [(one.module.key, text) for one in built for text in one.machine.warnings]
    for key, warning in (*own, *unnamed_balancers(built), *joint):
        about.setdefault(warning, []).append(f"modules.{key}")
    return tuple(f"{', '.join(modules)}: {warning}" for warning, modules in about.items())
