"""Where a drill is held: a stack's own endpoints, status, machines and lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from pgstead.clusters.groups import group
from pgstead.connection import Connection, Endpoint, Target
from pgstead.drills.fault import Scene
from pgstead.drills.ground import Ground, Stop
from pgstead.drills.scene import look, scope_of
from pgstead.drills.table import Table
from pgstead.drills.workload import Endpoints, start
from pgstead.errors import PgsteadError, Refused
from pgstead.operations import sentinel
from pgstead.operations.connect import connections
from pgstead.operations.session import Session
from pgstead.operations.status import status
from pgstead.sentinel.events import Kind
from pgstead.waiting import wait

EVENTS = 100
"""The most events of sentinels that a round can have."""

DEEDS = (Kind.DONE, Kind.FAILED)

NAMED = "&application_name=pgstead-drill"


def make(session: Session, patience: float, tell: Callable[[str], None]) -> Ground:
    """The ground of a stack; `tell` is told what is done there. `patience` as `Ground` has it.

    Raises `Refused` unless the stack is whole, or was broken by a drill and put right just now.
    """
    session.must_exist()
    scope_of(group(session.machines))
    stop = Stop()

    def trouble() -> str:
        return _trouble(session)

    def settled() -> Scene:
        session.check_held()
        wait(
            lambda: not trouble(),
            deadline=patience,
            what="the cluster to be whole before the next round",
            error=trouble,
            sleep=stop.pause,
        )
        return scene(session)

    for what in session.brought_back:
        tell(f"brought back what an earlier drill left broken: {what}")
    if not session.brought_back and (why := trouble()):
        raise Refused(
            f"the stack {session.stack.name} is not whole: {why}",
            hint="a drill begins with a cluster in which all is well; see `pgstead status`",
        )
    endpoints = _endpoints(session)
    return Ground(
        Table(endpoints.primary, stop.pause),
        lambda: start(endpoints),
        settled,
        trouble,
        tell,
        stop,
        lambda: sentinel.standing_still(session, sentinel.SPARED),
        lambda since: _done(session, since),
        patience,
    )


def _trouble(session: Session) -> str:
    """What keeps the stack from being whole, also where that cannot be seen; empty if nothing."""
    try:
        seen = status(session)
    except PgsteadError as error:
        return error.message
    return "" if seen.whole else "; ".join(seen.problems) or "a member is not as it should be"


def _done(session: Session, since: datetime) -> list[tuple[datetime, str]]:
    """What the stack's sentinels did since then."""
    events = sentinel.events(session, EVENTS)
    told = [(datetime.fromisoformat(one.at), one) for one in events if one.kind in DEEDS]
    return [(at, f"sentinel: {one.text}") for at, one in told if at >= since]


def scene(session: Session) -> Scene:
    """The cluster now. Raises `NotReady` or `ClientError` if it cannot be seen."""
    return look(session.platform, group(session.machines), session.broken)


def _endpoints(session: Session) -> Endpoints:
    found = connections(session)
    primary = found[Target.PRIMARY]
    replica = found.get(Target.REPLICA)
    scope = scope_of(group(session.machines))
    members = {
        name: Endpoint([(member.address, member.port)]) for name, member in scope.members.items()
    }
    return Endpoints(
        _each_host(primary),
        _each_host(replica) if replica else (),
        {
            name: replace(primary, endpoint=one).uri(with_password=True) + NAMED
            for name, one in members.items()
        },
    )


def _each_host(connection: Connection) -> tuple[str, ...]:
    """A URI for each host: a client with a limit of its own goes through them by itself."""
    endpoint = connection.endpoint
    return tuple(
        replace(connection, endpoint=Endpoint([host], endpoint.session)).uri() + NAMED
        for host in endpoint.hosts
    )
