"""Which attributes are about a machine's inside."""

import pytest

from pgstead.platforms.guests.lowering import is_inside


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("file:/etc/x", True),
        ("running:etcd", True),
        ("package:etcd", True),
        ("disk:data", False),
        ("power", False),
        ("file", False),
    ],
)
def test_keys_tell_where_they_belong(key: str, *, wanted: bool) -> None:
    assert is_inside(key) is wanted
