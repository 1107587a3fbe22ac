"""Whom a switchover names, and what it asks before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pgstead.clients.patroni import ClusterMember, ClusterView
from pgstead.errors import NotReady
from pgstead.operations.switchover import _candidates, _may_choose


def standby(name: str, **changes: Any) -> ClusterMember:
    return replace(ClusterMember(name, "quorum_standby", "streaming", lag=0), **changes)


def view(*standbys: ClusterMember, **changes: Any) -> ClusterView:
    return ClusterView("s", (ClusterMember("a", "leader", "running"), *standbys), **changes)


def test_patroni_chooses_while_all_are_there() -> None:
    seen = view(standby("b", lag=8), standby("c"))
    assert _may_choose(seen)
    assert _candidates(seen) == ("c", "b")


@pytest.mark.parametrize(
    "seen",
    [
        view(standby("b", lag=8), standby("c"), paused=True),
        view(standby("b", state="stopped"), standby("c"), standby("d")),
        view(standby("b", state="starting"), standby("c", lag=None), standby("d", lag=9)),
    ],
)
def test_it_is_told_which_where_it_would_refuse(seen: ClusterView) -> None:
    assert not _may_choose(seen)
    assert _candidates(seen) == ("c",)


def test_neither_what_may_not_lead_nor_what_commits_do_not_wait_for() -> None:
    never = standby("b", tags={"nofailover": True})
    assert _candidates(view(never, standby("c", role="replica"), standby("d"))) == ("d",)
    assert _candidates(view(never, standby("c", role="replica"))) == ("c",)
    with pytest.raises(NotReady, match="none can lead"):
        _candidates(view(never))
