"""Rules that tell apart machines with one source address."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgstead.errors import Refused
from pgstead.platforms.breaking import Breakage, Cut
from pgstead.platforms.local import control_groups, cutting, sockets
from pgstead.platforms.local.breaking import LocalBreaking
from pgstead.platforms.local.control_groups import ControlGroups
from pgstead.platforms.local.cutting import Cutting, rules
from pgstead.platforms.local.sockets import Connection

GROUPS = ControlGroups(Path("/sys/fs/cgroup/unified"), "pgstead-x")
CUT = Cut("a", "127.5.5.1", {"b": "127.5.5.2", "c": "127.5.5.3"})
OPEN = [Connection("127.5.5.2", 2379, 40000)]

TABLE = """\
  0: 0100007F:9C40 0205057F:094B 01 00000000:00000000 00:00000000 00000000  106 0 777 1
  1: 0100007F:9C41 0205057F:094B 01 00000000:00000000 00:00000000 00000000  106 0 778 1
  2: 0205057F:094B 00000000:0000 0A 00000000:00000000 00:00000000 00000000  106 0 779 1
  3: 0100007F:9C42 0905057F:094B 01 00000000:00000000 00:00000000 00000000  106 0 777 1
"""


def lost(text: str) -> list[str]:
    """The rules that lose packets."""
    return [line.strip() for line in text.splitlines() if line.endswith("drop")]


def test_both_ends_of_connections_are_known_by_the_clients() -> None:
    text = rules("pgstead_x", CUT, GROUPS, OPEN, [])
    assert "elements = { 127.5.5.2 . 2379 . 40000 }" in text
    match = 'socket cgroupv2 level 2 "unified/pgstead-x/{}"'
    assert f"ip daddr {{ 127.5.5.2, 127.5.5.3 }} {match.format('a')} add @own" in text
    assert f"ip daddr 127.5.5.1 {match.format('b')} add @others" in text
    assert f"ip daddr 127.5.5.1 {match.format('c')} add @others" in text


def test_each_direction_is_lost_by_itself() -> None:
    sent = lost(rules("t", Cut("a", "127.5.5.1", CUT.peers, received=False), GROUPS, [], []))
    received = lost(rules("t", Cut("a", "127.5.5.1", CUT.peers, sent=False), GROUPS, [], []))
    assert sent == [
        "ip daddr . tcp dport . tcp sport @own counter drop",
        "ip saddr . tcp sport . tcp dport @others counter drop",
    ]
    assert received == [
        "ip daddr . tcp dport . tcp sport @others counter drop",
        "ip saddr . tcp sport . tcp dport @own counter drop",
    ]
    assert lost(rules("t", CUT, GROUPS, [], [])) == [*sent, *received]


def test_a_port_that_another_process_uses_again_is_not_lost() -> None:
    text = rules("t", CUT, GROUPS, [], [])
    watched = text.partition("chain watched")[2].partition("chain lost")[0].splitlines()
    own = [line for line in watched if "@own" in line]
    assert "== syn delete" in own[0]
    assert "add" in own[1]


def test_the_kernels_table_tells_the_clients_ports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "tcp"
    table.write_text("  sl local rem st\n" + TABLE)
    monkeypatch.setattr(sockets, "Path", lambda _: table)
    found = sockets.connections(frozenset({777, 779}), frozenset({"127.5.5.2"}))
    assert found == [Connection("127.5.5.2", 2379, 0x9C40)]


@pytest.mark.parametrize(
    ("euid", "nft", "root", "why"),
    [
        (1000, "/usr/sbin/nft", GROUPS.root, "only root"),
        (0, None, GROUPS.root, "nft is not installed"),
        (0, "/usr/sbin/nft", None, "control groups"),
    ],
)
def test_what_this_machine_lacks_is_told(
    monkeypatch: pytest.MonkeyPatch, euid: int, nft: str | None, root: Path | None, why: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: euid)
    monkeypatch.setattr("shutil.which", lambda *_, **__: nft)
    monkeypatch.setattr(cutting, "mounted", lambda: root)
    made = Cutting("x", lambda: pytest.fail("nobody asks the supervisor"))
    assert why in (made.cannot() or "")
    breaking = LocalBreaking(lambda _: pytest.fail("nobody is looked at"), made)
    assert why in (breaking.cannot(Breakage.CUT, "a") or "")
    with pytest.raises(Refused, match=why):
        breaking.cut(CUT)
    breaking.mend("a")


def test_in_a_container_of_groups_levels_are_not_what_they_look_like(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.readlink", lambda _: "cgroup:[4026532000]")
    assert control_groups.mounted() is None


def test_the_clock_is_everybodys() -> None:
    made = Cutting("x", lambda: pytest.fail("nobody asks the supervisor"))
    breaking = LocalBreaking(lambda _: pytest.fail("nobody is looked at"), made)
    assert "share this machine's clock" in (breaking.cannot(Breakage.CLOCK, "a") or "")
    with pytest.raises(Refused, match="clock of a cannot be set"):
        breaking.step_clock("a", 1)
