"""The bench's own arithmetic; what it measures is no test's business."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CLUSTER = {
    "name": "scale",
    "modules": {
        "etcd-1": {"name": "etcd-1", "ca": "scale", "cluster": {"initial_token": "scale"}},
        "postgres-1": {
            "source": "patroni-server",
            "etcd": {"endpoints": ["${modules.etcd-1.endpoint}"]},
        },
    },
}


@pytest.fixture(scope="module")
def bench(script: Callable[[str], Any]) -> Callable[[str], Any]:
    script("bench/measures.py")  # found by the others from then on
    return lambda name: script(f"bench/{name}.py")


def test_a_large_stack_is_many_clusters_that_know_themselves_only(bench: Any) -> None:
    modules = bench("scale").many(CLUSTER, 4)["modules"]
    assert list(modules) == ["c0-etcd-1", "c0-postgres-1", "c1-etcd-1", "c1-postgres-1"]
    assert modules["c1-postgres-1"]["etcd"]["endpoints"] == ["${modules.c1-etcd-1.endpoint}"]
    assert modules["c1-etcd-1"]["cluster"]["initial_token"] == "c1"


def test_the_clusters_share_their_authority_and_keep_their_modules(bench: Any) -> None:
    modules = bench("scale").many(CLUSTER, 4)["modules"]
    assert modules["c1-etcd-1"]["ca"] == "scale"
    assert modules["c0-postgres-1"]["source"] == "patroni-server"


def test_a_process_s_cost_is_its_own(bench: Any) -> None:
    ballast = bytearray(200 * 1024**2)
    spent = bench("scale").cost(["true"])
    assert spent.seconds > 0
    assert 0 < spent.peak < len(ballast) / 1024**2


def test_a_measure_says_whether_it_keeps_its_limit(bench: Any) -> None:
    measure = bench("measures").Measure
    assert measure("a", (1.0, 3.0, 2.0), limit=2.0).row()[-1] == "yes"
    assert measure("a", (1.0, 3.0, 2.5), limit=2.0).row()[-1] == "NO"
    assert measure("a", (1.0,)).row()[-1] == ""


def test_a_ratio_is_of_medians(bench: Any) -> None:
    measure, ratio = bench("measures").Measure, bench("measures").ratio
    assert ratio("r", measure("a", (3.0, 3.0)), measure("b", (2.0,)), 1.3).median == 1.5


def test_domains_of_others_have_nothing_in_common(bench: Any) -> None:
    pytest.importorskip("libvirt")
    texts = [bench("domains").domain(number) for number in (0, 1, 256)]
    for pattern in ("<name>.*?</name>", "<uuid>.*?</uuid>", "address='.*?'"):
        assert len({re.findall(pattern, text)[0] for text in texts}) == 3


def test_results_are_kept_as_json(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measures = bench("measures")
    monkeypatch.setattr(measures, "ROOT", tmp_path)
    monkeypatch.setattr(measures, "RESULTS", tmp_path / "build" / "bench.json")
    measures.keep([measures.Measure("a", (1.0,))])
    assert '"median": 1.0' in (tmp_path / "build" / "bench.json").read_text()
