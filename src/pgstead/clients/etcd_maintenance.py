"""What etcd does to keep its data small: history dropped, files written anew, alarms taken back."""

from __future__ import annotations

from dataclasses import dataclass

from pgstead.clients.etcd import EtcdClient, EtcdError

__all__ = ["Alarm", "alarms", "compact", "defragment", "disarm"]

COMPACTED = "has been compacted"
DEFRAGMENT_SECONDS = 600.0
"""A file of 8 GiB on a slow disk; the member answers nothing else meanwhile."""

COMPACT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm that a member has raised, e.g. NOSPACE; it stays until it is taken back."""

    member: int
    kind: str


def alarms(client: EtcdClient) -> tuple[Alarm, ...]:
    """The alarms that are raised, of all members."""
    answer = client.call("/v3/maintenance/alarm", {"action": "GET"})
    # What is zero is left out: NONE is no alarm.
    found = (
        Alarm(int(one.get("memberID", 0)), str(one.get("alarm", "NONE")))
        for one in answer.get("alarms", ())
    )
    return tuple(alarm for alarm in found if alarm.kind != "NONE")


def disarm(client: EtcdClient, alarm: Alarm) -> None:
    """Take an alarm back; one that is not raised any more is fine."""
    body = {"action": "DEACTIVATE", "memberID": str(alarm.member), "alarm": alarm.kind}
    client.call("/v3/maintenance/alarm", body)


def compact(client: EtcdClient, host: str, port: int, revision: int) -> None:
    """Drop the cluster's history before that revision; what is dropped already is fine.

    Returns when that member has removed it; the others follow by themselves.
    """
    body = {"revision": str(revision), "physical": True}
    try:
        client.at(host, port, timeout=COMPACT_SECONDS).call("/v3/kv/compaction", body)
    except EtcdError as error:
        if COMPACTED not in error.reason:
            raise


def defragment(client: EtcdClient, host: str, port: int) -> None:
    """Have that member write its file anew without its free pages; until then it is silent."""
    client.at(host, port, timeout=DEFRAGMENT_SECONDS).call("/v3/maintenance/defragment")
