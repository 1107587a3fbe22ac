from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgstead.clusters import settings
from pgstead.machine import OnChange

NOW: dict[str, Any] = {
    "ttl": 20,
    "synchronous_mode": "quorum",
    "postgresql": {"use_slots": True, "parameters": {"work_mem": "4MB", "max_connections": 100}},
}


def merge(config: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """What Patroni makes of a patch."""
    merged = dict(config)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def changed(**parameters: object) -> dict[str, Any]:
    wanted = deepcopy(NOW)
    wanted["postgresql"]["parameters"].update(parameters)
    return wanted


def test_flattened() -> None:
    assert settings.flatten({**NOW, "slots": ["a"], "pause": True}) == {
        "ttl": 20,
        "synchronous_mode": "quorum",
        "postgresql.use_slots": True,
        "postgresql.parameters.work_mem": "4MB",
        "postgresql.parameters.max_connections": 100,
        "slots": '["a"]',
    }


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("postgresql.parameters.shared_buffers", OnChange.RESTART),
        ("postgresql.parameters.max_connections", OnChange.RESTART),
        ("postgresql.parameters.work_mem", OnChange.RELOAD),
        ("ttl", OnChange.RELOAD),
        ("max_connections", OnChange.RELOAD),
    ],
)
def test_what_a_change_takes(name: str, effect: OnChange) -> None:
    assert settings.on_change(name) is effect


def test_a_pause_is_the_operators() -> None:
    assert settings.difference({**NOW, "pause": True}, NOW) == {}


def test_what_is_not_wanted_any_more_is_removed() -> None:
    assert settings.difference({**NOW, "maximum_lag_on_failover": 5}, NOW) == {
        "maximum_lag_on_failover": None
    }


def test_true_is_not_one() -> None:
    assert settings.difference({"a": 1}, {"a": True}) == {"a": True}


def test_lowering_comes_apart_from_raising() -> None:
    wanted = changed(max_connections=50, max_worker_processes=16, work_mem="8MB")
    first, second = settings.phases(NOW, settings.difference(NOW, wanted))
    assert settings.parameters(first) == {"max_worker_processes": 16, "work_mem": "8MB"}
    assert settings.parameters(second) == {"max_connections": 50}
    assert merge(merge(NOW, first), second) == wanted


def test_raising_needs_one_phase() -> None:
    patch = settings.difference(NOW, changed(max_connections="200"))
    assert settings.phases(NOW, patch) == (patch, {})


def test_removed_counts_as_the_default() -> None:
    assert settings.lowers("max_connections", 200, None)
    assert not settings.lowers("max_connections", 50, None)
    assert not settings.lowers("work_mem", 50, 10)


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "on"), (False, "off"), (None, "off"), ("quorum", "quorum"), ("ON", "on"), (1, "on")],
)
def test_switches_in_one_spelling(value: object, text: str) -> None:
    assert settings.text_of(value) == text


def test_patch_in_words() -> None:
    words = settings.flatten_patch({"ttl": None, "postgresql": {"parameters": {"work_mem": "8MB"}}})
    assert words == {"ttl": "removed", "postgresql.parameters.work_mem": "8MB"}


scalars = st.one_of(st.integers(0, 300), st.booleans(), st.text("ab", max_size=2))
names = st.sampled_from(["a", "b", *settings.PRIMARY_FIRST])
trees = st.fixed_dictionaries(
    {"postgresql": st.fixed_dictionaries({"parameters": st.dictionaries(names, scalars)})},
    optional={"ttl": scalars, "retry_timeout": scalars},
)


@given(trees, trees)
def test_patching_gives_what_is_wanted(before: dict[str, Any], wanted: dict[str, Any]) -> None:
    patch = settings.difference(before, wanted)
    first, second = settings.phases(before, patch)
    after = merge(merge(before, first), second)
    assert settings.flatten(after) == settings.flatten(wanted)
    assert settings.difference(after, wanted) == {}
