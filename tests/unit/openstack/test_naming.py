"""Names and marks: whose a thing is, told by the thing itself."""

from __future__ import annotations

import pytest

from pgstead.platforms.openstack.naming import Naming

NAMING = Naming("shop", "0123", "x-")


def test_a_ports_description_tells_its_machine() -> None:
    mark = NAMING.port("etcd-1", 2)
    assert NAMING.port_of(mark) == ("etcd-1", 2)


@pytest.mark.parametrize(
    "description",
    [
        "",
        "mine",
        "pgstead shop 4567 etcd-1/0",
        "pgstead other 0123 etcd-1/0",
        "pgstead shop 0123 a",
    ],
)
def test_what_is_not_the_stacks_is_nobodys(description: str) -> None:
    assert NAMING.port_of(description) is None


def test_stacks_of_one_name_do_not_share_names() -> None:
    other = Naming("shop", "4567", "x-")
    assert NAMING.volume("etcd-1", "data") != other.volume("etcd-1", "data")
    assert NAMING.group("etcd") != other.group("etcd")
    assert NAMING.tag != other.tag
    assert NAMING.name_tag == other.name_tag
    assert NAMING.server("etcd-1") == "x-etcd-1"
    assert len(Naming("s" * 40, "0").name_tag) <= 60, "Nova takes no longer tag"
