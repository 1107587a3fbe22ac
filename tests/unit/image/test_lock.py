from __future__ import annotations

from pathlib import Path

import pytest

from pgstead.errors import SpecError
from pgstead.image.lock import Lock, differences, parse_lock, read_lock

LOCK = Lock(
    suite="bookworm",
    size=4,
    time=1_700_000_000,
    wanted=("etcd-server", "haproxy"),
    packages={"haproxy": "2.6.12-1+deb12u1", "etcd-server": "3.4.23-4+b4", "libc6": "2.36-9"},
    python={"patroni": "4.1.5", "ydiff": "1.4.2"},
)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "image.packages"
    path.write_text(LOCK.text(), encoding="utf-8")
    assert read_lock(path) == LOCK


def test_the_text_is_for_reading_and_in_a_stable_order() -> None:
    assert LOCK.text().splitlines()[1:] == [
        "suite bookworm",
        "size 4",
        "time 1700000000",
        "wanted etcd-server",
        "wanted haproxy",
        "package etcd-server 3.4.23-4+b4",
        "package haproxy 2.6.12-1+deb12u1",
        "package libc6 2.36-9",
        "python patroni 4.1.5",
        "python ydiff 1.4.2",
    ]


def test_pins_let_in_nothing_else() -> None:
    pins = LOCK.pins().split("\n\n")
    assert pins[0] == "Package: etcd-server\nPin: version 3.4.23-4+b4\nPin-Priority: 1001"
    assert pins[-1].startswith("Package: *\n")
    assert "Pin-Priority: -1" in pins[-1]


def test_pip_is_asked_for_exactly_what_was_there() -> None:
    assert LOCK.constraints() == ["patroni==4.1.5", "ydiff==1.4.2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("suite bookworm\nsize four\n", r"line 2: size must be a whole number, not 'four'"),
        ("suite bookworm\npackage libc6\n", r"line 2: 'package libc6' is not understood"),
        ("suite bookworm\n", "lacks size, time"),
        ("suite bookworm\nsize 4\ntime 1\nwanted a\n", "lacks packages"),
        ("", "lacks suite, size, time"),
    ],
)
def test_what_is_no_lock_file_is_refused(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_lock(text)


def test_a_lock_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"absent\.packages cannot be read: No such file"):
        read_lock(tmp_path / "absent.packages")
    (tmp_path / "image.qcow2").write_bytes(b"QFI\xfb\xff")
    with pytest.raises(SpecError, match="it is no text"):
        read_lock(tmp_path / "image.qcow2")


def test_differences_name_both_versions() -> None:
    assert differences({"a": "1", "b": "1"}, {"a": "1", "b": "2", "c": "3"}) == [
        "b: 2 instead of 1",
        "c: 3 instead of nothing",
    ]
    assert differences({"a": "1"}, {}) == ["a: absent instead of 1"]
    assert differences({"a": "1"}, {"a": "1"}) == []
