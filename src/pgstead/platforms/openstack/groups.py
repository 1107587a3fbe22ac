"""Security groups of the stack's roles, and server groups of its clusters: made, kept, removed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pgstead.machine import Machine, Nic
from pgstead.platforms.openstack.catalog import SecurityGroup, security_group
from pgstead.platforms.openstack.errors import explained
from pgstead.platforms.openstack.ground import Ground
from pgstead.platforms.openstack.roles import ROLES, Wanted, cluster, role
from pgstead.platforms.software import plain_digest

Rules = Mapping[str, frozenset[Wanted]]


def own(ground: Ground) -> dict[str, SecurityGroup]:
    """The security groups that the stack made, by role."""
    names = {ground.naming.group(one): one for one in ROLES}
    return {
        names[group.name]: group
        for group in ground.catalog.security_groups
        if group.description == ground.naming.description and group.name in names
    }


def ensure_once(ground: Ground) -> None:
    """The same as `ensure`, for the first machine that asks; the others go on once it is done."""
    with ground.making:
        wanted = ground.wanted
        if ground.grouped != wanted:
            ensure(ground)
            ground.grouped = wanted


def ensure(ground: Ground) -> None:
    """Make the security groups of all roles, and have each let in what it should.

    Roles let each other in, so all groups are there before the first rule. Looks anew: what
    another run left half made is finished.
    """
    with ground.making:
        roles = ground.wanted
        if not roles:
            return
        ground.catalog.forget()
        found = own(ground)
        for name in sorted(roles.keys() - found.keys()):
            found[name] = _make(ground, name)
        for name, wanted in sorted(roles.items()):
            _set_rules(ground, found, name, wanted)
        ground.catalog.forget()


def _make(ground: Ground, name: str) -> SecurityGroup:
    title = ground.naming.group(name)
    with explained(f"security group {title}"):
        made = ground.cloud.network.create_security_group(
            name=title, description=ground.naming.description
        )
    return security_group(made)


def _set_rules(
    ground: Ground, found: Mapping[str, SecurityGroup], name: str, wanted: frozenset[Wanted]
) -> None:
    group = found[name]
    there = seen(found, group)
    missing = [_request(found, group.id, one) for one in sorted(wanted - set(there.values()))]
    with explained(f"rules of the security group {group.name}"):
        if missing:
            # What is asked for is sent only as the answer is read.
            list(ground.cloud.network.create_security_group_rules(missing))
        for rule, one in there.items():
            if one not in wanted:
                ground.cloud.network.delete_security_group_rule(rule)


def seen(found: Mapping[str, SecurityGroup], group: SecurityGroup) -> dict[str, Wanted | None]:
    """What a group of the stack's lets in, by the rules' ids; None for what is not its kind."""
    roles = {one.id: name for name, one in found.items()}
    return {
        key: None
        if rule.first != rule.last
        else Wanted(rule.first, role=roles[rule.source])
        if rule.source in roles
        else Wanted(rule.first, network=rule.source)
        for key, rule in group.rules.items()
    }


def _request(found: Mapping[str, SecurityGroup], group: str, wanted: Wanted) -> dict[str, Any]:
    source = (
        {"remote_group_id": found[wanted.role].id}
        if wanted.role
        else {"remote_ip_prefix": wanted.network}
    )
    return {
        "security_group_id": group,
        "direction": "ingress",
        "ether_type": "IPv4",
        "protocol": "tcp",
        "port_range_min": wanted.port,
        "port_range_max": wanted.port,
        **source,
    }


def ids(ground: Ground, machine: Machine, nic: Nic) -> tuple[str, ...]:
    """The ids of the groups that a machine's interface is to be in."""
    given = ground.given_groups(nic)
    if given is None:
        return (own(ground)[role(machine)].id,)
    return tuple(ground.catalog.security_group(one).id for one in given)


# -- as an attribute of machines


def desired(ground: Ground, machine: Machine) -> str | None:
    """A digest of what lets traffic into a machine; None where the stack has no say in it."""
    nics = [nic for nic in machine.guest.nics if nic.port is None or nic.port.existing is None]
    if not nics:
        return None
    return _digest([_wanted_groups(ground, nic) for nic in nics], ground.wanted.get(role(machine)))


def observed(ground: Ground, machine: Machine, groups: list[tuple[str, ...]]) -> str:
    """The same of what is there; `groups` are the ids of each of its own ports' groups."""
    found = own(ground)
    names = {group.id: group for group in ground.catalog.security_groups}
    nics = [nic for nic in machine.guest.nics if nic.port is None or nic.port.existing is None]
    mine = found.get(role(machine))
    shown = [
        sorted(_shown(names.get(one), one, _wanted_groups(ground, nic), mine) for one in ids)
        for nic, ids in zip(nics, groups, strict=False)
    ]
    there = seen(found, mine).values() if mine else ()
    return _digest(shown, None if role(machine) not in ground.wanted else there)


def _wanted_groups(ground: Ground, nic: Nic) -> list[str]:
    """As the stack file says; a star stands for the role's own group."""
    given = ground.given_groups(nic)
    return ["*"] if given is None else sorted(given)


def _shown(
    group: SecurityGroup | None, ident: str, wanted: list[str], mine: SecurityGroup | None
) -> str:
    """A group by the word that the stack file has for it."""
    if group is None:
        return ident
    if mine is not None and group.id == mine.id:
        return "*"
    return group.id if group.id in wanted else group.name


def _digest(groups: list[list[str]], rules: Any) -> str:
    known = sorted(f"{one.port} {one.network}{one.role}" if one else "other" for one in rules or ())
    return plain_digest(json.dumps([groups, known]))


# -- server groups


def server_group(ground: Ground, machine: Machine) -> str | None:
    """The id of the server group of the machine's cluster, made where it is not there yet."""
    given = machine.guest.cloud.server_group
    if given is not None:
        return ground.catalog.server_group(given).id
    name, policy = cluster(machine), ground.settings.server_group
    if name is None or policy == "none":
        return None
    title = ground.naming.group(name)
    with ground.making:
        found = ground.catalog.find_server_group(title)
        if found is not None:
            return found.id
        with explained(f"server group {title}"):
            made = ground.cloud.compute.create_server_group(name=title, policy=policy)
        ground.catalog.forget()
        return str(made.id)


def remove(ground: Ground) -> None:
    """Delete the stack's own groups: its machines are gone."""
    mark = f"-{ground.naming.mark}"
    ground.catalog.forget()
    network, compute = ground.cloud.network, ground.cloud.compute
    with explained("security groups of the stack"):
        own_groups = [
            one
            for one in ground.catalog.security_groups
            if one.description == ground.naming.description
        ]
        for group in own_groups:  # they let each other in: a rule that names a group holds it
            for rule in group.rules:
                network.delete_security_group_rule(rule, ignore_missing=True)
        for group in own_groups:
            network.delete_security_group(group.id, ignore_missing=True)
    with explained("server groups of the stack"):
        for one in compute.server_groups():
            if str(one.name).endswith(mark):
                compute.delete_server_group(one.id, ignore_missing=True)
    ground.catalog.forget()
