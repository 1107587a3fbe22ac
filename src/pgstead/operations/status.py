"""A stack as it is now: every member asked, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from pgstead.certificates import read
from pgstead.clients.etcd import EtcdClient
from pgstead.clients.haproxy import HaproxyClient
from pgstead.clients.patroni import ClusterView
from pgstead.errors import ClientError, NotReady, PgsteadError
from pgstead.machine import Machine
from pgstead.membership import EtcdMember, LoadBalancer, PatroniMember, StandaloneServer
from pgstead.operations.results import MemberStatus, Status
from pgstead.operations.session import Session
from pgstead.operations.switchover import view_of

PRIMARY = "primary"
"""The proxy that must have one server up."""


def status(session: Session) -> Status:
    """Every machine's role and health. Raises `StateError` if the stack never came up."""
    session.must_exist()
    view = _view(session.machines)
    with ThreadPoolExecutor(max(1, len(session.machines))) as pool:
        members = tuple(pool.map(lambda machine: _member(machine, view, session), session.machines))
    return Status(
        session.stack.name, session.platform.kind, members, tuple(_problems(session, view, members))
    )


def _view(machines: Iterable[Machine]) -> ClusterView | None:
    members = [m.membership for m in machines]
    patroni = [m for m in members if isinstance(m, PatroniMember)]
    try:
        return view_of(patroni) if patroni else None
    except NotReady:
        return None


def _member(machine: Machine, view: ClusterView | None, session: Session) -> MemberStatus:
    member = machine.membership
    expires = _expiry(machine)
    if isinstance(member, EtcdMember):
        return _etcd(machine, member, expires)
    if isinstance(member, PatroniMember):
        return _patroni(machine, member, view, expires)
    if isinstance(member, LoadBalancer):
        return _balancer(machine, member, expires)
    return _standalone(machine, member, session, expires)


def _etcd(machine: Machine, member: EtcdMember, expires: datetime | None) -> MemberStatus:
    client = EtcdClient([(member.address, member.client_port)], member.operator)
    access = member.access
    if access and access.root_password:
        client = EtcdClient(client.endpoints, client.tls, "root", access.root_password)
    health = client.health(member.address, member.client_port)
    return MemberStatus(
        machine.name,
        "etcd",
        "healthy" if health.ok else "unhealthy",
        f"{member.address}:{member.client_port}",
        certificate_expires=expires,
        healthy=health.ok,
    )


def _patroni(
    machine: Machine, member: PatroniMember, view: ClusterView | None, expires: datetime | None
) -> MemberStatus:
    seen = view.member(member.name) if view else None
    return MemberStatus(
        machine.name,
        seen.role.replace("_", " ") if seen else "",
        seen.state if seen else "does not answer",
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
            state, healthy = "does not answer", False
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
    machine: Machine, member: StandaloneServer, session: Session, expires: datetime | None
) -> MemberStatus:
    answers = _answers(lambda: session.platform.power(machine.name).on)
    return MemberStatus(
        machine.name,
        "standalone",
        "running" if answers else "stopped",
        f"{member.address}:{member.port}",
        certificate_expires=expires,
        healthy=answers,
    )


def _answers(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except PgsteadError:
        return False


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
    for member in members:
        if not member.healthy:
            yield f"{member.machine}: {member.state}"
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
