"""A stack as it is now: every member asked, side by side."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from pgstead.certificates import read
from pgstead.clients.etcd import EtcdClient
from pgstead.clients.haproxy import HaproxyClient
from pgstead.clients.patroni import ClusterView
from pgstead.clients.postgres import Login, answers
from pgstead.clusters.etcd_view import roles
from pgstead.clusters.groups import group, told
from pgstead.errors import ClientError, NotReady, PgsteadError
from pgstead.machine import Machine
from pgstead.membership import (
    EtcdMember,
    LoadBalancer,
    PatroniMember,
    StandaloneServer,
    Watcher,
)
from pgstead.operations import sentinel
from pgstead.operations.results import MemberStatus, Status
from pgstead.operations.session import Session
from pgstead.operations.switchover import view_of
from pgstead.waiting import latest, wait

PRIMARY = "primary"
"""The proxy that must have one server up."""

SERVING = 90.0
"""Seconds for machines that run to find their places in their clusters."""

BETWEEN_LOOKS = 0.5
"""Seconds between two looks at a stack that is waited for: each asks every member."""

SHOWN_EVENTS = 5
"""How many of the sentinel's last events are told."""

SILENT = "does not answer"
STOPPED = "stopped"
NO_SPACE = "no space"


@dataclass(frozen=True, slots=True)
class Clusters:
    """What the clusters say of themselves; None, or nothing, where nobody answers.

    `etcd` is the role of each etcd member, by machine.
    """

    patroni: ClusterView | None
    etcd: Mapping[str, str]


def status(session: Session) -> Status:
    """Every machine's role and health. Raises `StateError` if the stack never came up."""
    session.must_exist()
    clusters = Clusters(_view(session.machines), _etcd_roles(session.machines))
    with ThreadPoolExecutor(max(1, len(session.machines))) as pool:
        members = tuple(
            pool.map(lambda machine: _member(machine, clusters, session), session.machines)
        )
    problems = tuple(_problems(session, clusters.patroni, members))
    events = sentinel.events(session, SHOWN_EVENTS)
    return Status(session.stack.name, session.platform.kind, members, problems, events)


def status_once_whole(session: Session, seconds: float) -> Status:
    """The status as soon as the stack is whole, or what it is after so many seconds.

    Raises `StateError` if the stack never came up.
    """
    return latest(
        lambda: status(session),
        lambda seen: seen.whole,
        deadline=seconds,
        interval=(BETWEEN_LOOKS, BETWEEN_LOOKS),
    )


def await_serving(session: Session, names: Collection[str]) -> None:
    """Wait until the stack is whole, or where others ail, until those machines serve.

    While others are stopped, which they may need, there is nothing to wait for. Raises
    `NotReady` if it does not come to that.
    """
    seen: list[Status] = []

    def serve() -> bool:
        seen[:] = [status(session)]
        others = [one for one in seen[0].members if one.machine not in names]
        if all(one.healthy for one in others):
            return seen[0].whole
        named = (one for one in seen[0].members if one.machine in names)
        return any(one.state == STOPPED for one in others) or all(one.healthy for one in named)

    wait(serve, deadline=SERVING, what="the stack to serve", error=lambda: _why(seen))


def _why(seen: Collection[Status]) -> str:
    return "; ".join(problem for each in seen for problem in each.problems)


def _view(machines: Iterable[Machine]) -> ClusterView | None:
    members = [m.membership for m in machines]
    patroni = [m for m in members if isinstance(m, PatroniMember)]
    try:
        return view_of(patroni) if patroni else None
    except NotReady:
        return None


def _etcd_roles(machines: Iterable[Machine]) -> dict[str, str]:
    """Each etcd member's role as its cluster tells it; none of those that nobody tells."""
    found: dict[str, str] = {}
    for cluster in group(machines).etcd.values():
        with suppress(ClientError):
            found.update(roles(cluster))
    return found


def _member(machine: Machine, clusters: Clusters, session: Session) -> MemberStatus:
    seen = _asked(machine, clusters)
    if seen.healthy and not isinstance(machine.membership, Watcher):  # which cannot be asked
        return seen
    try:
        power = session.platform.power(machine.name)
    except PgsteadError as error:  # whether it is on cannot be told: taken to be so
        return replace(seen, reason=error.message)
    return seen if power.on else replace(seen, state=STOPPED, lag=None, healthy=False)


def _asked(machine: Machine, clusters: Clusters) -> MemberStatus:
    member = machine.membership
    expires = _expiry(machine)
    if isinstance(member, EtcdMember):
        return _etcd(machine, member, clusters.etcd.get(machine.name, ""), expires)
    if isinstance(member, PatroniMember):
        return _patroni(machine, member, clusters.patroni, expires)
    if isinstance(member, LoadBalancer):
        return _balancer(machine, member, expires)
    if isinstance(member, Watcher):
        return MemberStatus(machine.name, "sentinel", "running", "")
    return _standalone(machine, member, expires)


def _etcd(
    machine: Machine, member: EtcdMember, role: str, expires: datetime | None
) -> MemberStatus:
    """A member that cannot be reached or knows no leader is unhealthy; `/health` takes no login."""
    client = EtcdClient([(member.address, member.client_port)], member.operator)
    health = client.health(member.address, member.client_port)
    return MemberStatus(
        machine.name,
        f"etcd {role}".rstrip(),
        "healthy" if health.ok else NO_SPACE if health.no_space else "unhealthy",
        f"{member.address}:{member.client_port}",
        certificate_expires=expires,
        healthy=health.ok,
        reason=health.reason if health.no_space else "",
    )


def _patroni(
    machine: Machine, member: PatroniMember, view: ClusterView | None, expires: datetime | None
) -> MemberStatus:
    """What the cluster says of it; of one that died a moment ago, it still says that it serves.

    While etcd is away nobody can tell of the cluster, but each member of itself.
    """
    own = told(member)
    seen = view.member(member.name) if view and own else None
    alone = f"{own.state}, without etcd" if own else SILENT
    return MemberStatus(
        machine.name,
        seen.role.replace("_", " ") if seen else own.role if own else "patroni",
        seen.state if seen else alone,
        f"{member.address}:{member.port}",
        lag=seen.lag if seen else None,
        timeline=seen.timeline if seen else None,
        pending_restart=bool(seen and seen.pending_restart),
        certificate_expires=expires,
        healthy=bool(seen and seen.serves),
    )


def _balancer(machine: Machine, member: LoadBalancer, expires: datetime | None) -> MemberStatus:
    state, healthy = "running", True
    if member.statistics_port:
        try:
            servers = HaproxyClient(
                member.address, member.statistics_port, member.operator
            ).servers()
            up = sum(server.up for server in servers if server.proxy == PRIMARY)
            healthy = up == 1
            state = "to the leader" if healthy else f"{up} servers take writes"
        except ClientError:
            state, healthy = SILENT, False
    address = f"{member.address}:{member.port}"
    return MemberStatus(
        machine.name,
        "load balancer",
        state,
        address,
        certificate_expires=expires,
        healthy=healthy,
    )


def _standalone(
    machine: Machine, member: StandaloneServer, expires: datetime | None
) -> MemberStatus:
    role = member.access.superuser
    taken = answers(Login(member.address, member.port, role.name, role.password, member.ca))
    return MemberStatus(
        machine.name,
        "standalone",
        "running" if taken else SILENT,
        f"{member.address}:{member.port}",
        certificate_expires=expires,
        healthy=taken,
    )


def _expiry(machine: Machine) -> datetime | None:
    """The first end among the machine's own certificates."""
    ends = [
        read(file.content).not_after
        for file in machine.software.files
        if file.path.endswith((".crt", ".pem"))
        and "BEGIN CERTIFICATE" in file.content
        and not file.path.endswith("ca.crt")
    ]
    return min(ends, default=None)


def _problems(
    session: Session, view: ClusterView | None, members: tuple[MemberStatus, ...]
) -> Iterable[str]:
    if all(member.state == STOPPED for member in members):
        yield f"the stack is stopped: `pgstead start {session.file}` starts it"
        return
    if session.left_broken:
        yield f"a drill was killed and left its damage: `pgstead up {session.file}` brings all back"
    if trouble := session.platform.trouble():
        yield f"{trouble}; `pgstead up {session.file}` puts that right"
    for member in members:
        if not member.healthy:
            reason = f" ({member.reason})" if member.reason else ""
            yield f"{member.machine}: {member.state}{reason}"
    if view is None:
        return
    if view.leader is None:
        yield "no Patroni member leads"
    if view.paused:
        yield "Patroni is paused: no failover will happen"
    if _synchronous(session) and not any(m.is_synchronous for m in view.members):
        yield "no synchronous standby: in strict mode, writes wait"


def _synchronous(session: Session) -> bool:
    return any(
        machine.membership.settings.get("synchronous_mode")
        for machine in session.machines
        if isinstance(machine.membership, PatroniMember)
    )
