"""What cannot change in one `up`."""

import pytest

from pgstead.engine.compare import make_plan
from pgstead.engine.resource import Attribute, Present, Recorded, Resource
from pgstead.errors import Refused
from pgstead.machine import OnChange
from pgstead.operations.plan import _check_together

FILE = "file:/etc/patroni/patroni.yml"
COMMAND = "service:patroni"


def member(content: str, command: str) -> Resource:
    attributes = {
        FILE: Attribute(content, OnChange.RELOAD, "file", hidden=True),
        COMMAND: Attribute(command, OnChange.RESTART, "command", hidden=True),
    }
    return Resource("machine.postgres-1", "machine", attributes, ("etcd.main",))


def etcd(password: str) -> Resource:
    attributes = {"user:patroni": Attribute(password, OnChange.RELOAD, "password", hidden=True)}
    return Resource("etcd.main", "etcd", attributes)


def check(password: str, content: str, command: str) -> None:
    before = [etcd("old"), member("old", "old")]
    known = {one.address: Recorded(one.address, one.kind, one.values) for one in before}
    seen = {one.address: Present(one.values) for one in before}
    _check_together(make_plan([etcd(password), member(content, command)], known, seen))


def test_a_password_of_etcd_and_a_restart_of_its_patroni_are_refused() -> None:
    with pytest.raises(Refused, match=r"machine.postgres-1 needs a restart, and passwords in etcd"):
        check("new", "new", "new")


@pytest.mark.parametrize(
    "wanted", [("new", "new", "old"), ("old", "new", "new"), ("new", "old", "new")]
)
def test_either_alone_is_fine(wanted: tuple[str, str, str]) -> None:
    check(*wanted)
