"""Whatever stands in a file: a cluster expands and loads again, junk is refused in words."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgstead.errors import SpecError
from pgstead.spec import Model, SourceMap, expand, from_tree, loads, parse
from pgstead.spec.cluster import Cluster
from pgstead.spec.settings import StackSettings

FOLDER = Path("/nowhere")
QUICK = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)

members = st.integers(1, 9)
durations = st.builds("{}{}".format, st.integers(1, 999), st.sampled_from(["ms", "s", "m", "h"]))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
settled = texts.filter(lambda text: "${" not in text)
values = st.one_of(settled, st.integers(), st.booleans(), st.floats(allow_nan=False, width=32))
names = st.from_regex(r"[a-z][a-z_]{3,20}", fullmatch=True).map(lambda name: f"my.{name}")


@st.composite
def timings(draw: st.DrawFn) -> dict[str, Any]:
    loop_wait, retry = draw(st.integers(1, 20)), draw(st.integers(3, 30))
    least = max(20, loop_wait + 2 * retry)
    heartbeat = draw(st.integers(10, 1000))
    return {
        "ttl": draw(st.integers(least, least + 100)),
        "loop_wait": loop_wait,
        "retry_timeout": retry,
        "failsafe_mode": draw(st.booleans()),
        "idle": draw(st.integers(1, 999).map("{}h".format)),  # a short one is refused
        "wal_sender_timeout": draw(durations),
        "target": draw(st.sampled_from([None, "fast", "patroni", "slow"])),
        "balancer_tcp": {"user_timeout": draw(st.integers(0, 60_000))},
        "client": draw(st.sampled_from([{}, {"connect_timeout": 3, "user_timeout": 9000}])),
        "watchdog": {"safety_margin": draw(st.sampled_from([-1, 1, 5]))},
        "etcd": {
            "heartbeat_interval": heartbeat,
            "election_timeout": draw(st.integers(5 * heartbeat, 9 * heartbeat)),
        },
    }


@st.composite
def clusters(draw: st.DrawFn) -> dict[str, Any]:
    count = draw(members)
    synchronous: Any = False
    if count > 1 and draw(st.booleans()):
        synchronous = {
            "strict": draw(st.booleans()),
            "node_count": draw(st.integers(1, count - 1)),
            "mode": draw(st.sampled_from(["on", "quorum"])),
        }
    return {
        "postgres": {
            "members": count,
            "synchronous": synchronous,
            "parameters": draw(st.dictionaries(names, values, max_size=4)),
            "names": draw(st.lists(st.sampled_from(["a.org", "*.b.org", "10.0.0.1"]), max_size=2)),
        },
        "etcd": {"members": draw(st.integers(1, 7))},
        "load_balancer": {"members": draw(st.integers(0, 9))},
        "timings": draw(timings()),
    }


@QUICK
@given(clusters())
def test_a_cluster_expands_to_a_file_that_means_the_same(cluster: dict[str, Any]) -> None:
    made = from_tree({"name": "x", "cluster": cluster}, folder=FOLDER, environ={})
    text = expand(made)
    again = loads(text, folder=FOLDER, environ={})
    assert again.modules == made.modules
    assert list(again.modules) == list(made.modules)
    assert again.passwords == made.passwords
    assert again.certificate_authorities == made.certificate_authorities
    assert expand(again) == text
    assert len({module.variables["name"] for module in made.modules.values()}) == len(made.modules)


def known_keys(model: type[Model]) -> set[str]:
    keys: set[str] = set()
    for definition in [model.model_json_schema(), *model.model_json_schema()["$defs"].values()]:
        keys |= set(definition.get("properties", {}))
    return keys


KEYS = st.sampled_from(sorted(known_keys(StackSettings) | known_keys(Cluster) | {"modules"}))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    texts,
    st.sampled_from(["${modules.a.ip}", "${env:X}", "${file:x}", "${", "$${", "local", "1s"]),
)
TREES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS | texts, below, max_size=4),
    max_leaves=20,
)


@contextlib.contextmanager
def refused_at(place: str) -> Iterator[None]:
    """Lets a refusal pass whose every line says where it is; anything else is a failure."""
    try:
        yield
    except SpecError as error:
        lines = error.message.splitlines()
        wrong = [line for line in lines if not line.startswith(place)]
        if wrong:
            pytest.fail(f"{wrong}")


@QUICK
@given(st.dictionaries(KEYS, TREES, max_size=6))
def test_any_tree_is_a_stack_or_is_refused_in_words(tree: dict[str, Any]) -> None:
    with refused_at("<program>:"):
        made = from_tree({"name": "x", **tree}, folder=FOLDER, environ={})
        assert loads(expand(made), folder=FOLDER, environ={}).modules == made.modules


@QUICK
@given(TREES)
def test_any_tree_is_a_cluster_or_is_refused_in_words(tree: Any) -> None:
    with refused_at("stack.yaml:1: cluster"):
        parse(Cluster, tree, SourceMap("stack.yaml", FOLDER), ("cluster",))


@QUICK
@given(st.text(max_size=200) | TREES.map(lambda tree: yaml.safe_dump(tree, allow_unicode=True)))
def test_any_text_is_a_stack_or_is_refused_in_words(text: str) -> None:
    with refused_at("pgstead.yaml:"):
        loads(text, folder=FOLDER, environ={})


@QUICK
@given(st.text(alphabet="ab:-[]{}&*!|>'\"\\#%@`,? \n\t<$0~=", max_size=60))
def test_broken_yaml_is_refused_in_words(text: str) -> None:
    with refused_at("pgstead.yaml:"):
        loads("name: x\nmodules: {}\n" + text, folder=FOLDER, environ={})
