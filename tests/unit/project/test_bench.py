"""The bench's own arithmetic; what it measures is no test's business."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pgstead.operations.render import render

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


RENDERED = {
    "name": "bench",
    "platform": {
        "kind": "libvirt",
        "uri": "qemu+unix:///system?socket=/nowhere",
        "virt_type": "qemu",
        "image": "/nowhere/image",
        "network": "bench",
        "networks": {"bench": {"subnet": "10.78.0.0/24", "mode": "isolated"}},
        "data_size": 1,
    },
    "cluster": {},
}


def test_the_script_for_a_cluster_finds_its_way_in_what_is_rendered(
    bench: Any, tmp_path: Path
) -> None:
    pytest.importorskip("libvirt")
    for name in ("handmade_asking", "handmade_lab"):
        bench(name)  # found by the next one from then on
    handmade, file = bench("handmade_cluster"), tmp_path / "stack.yaml"
    file.write_text(yaml.safe_dump(RENDERED))
    render(file, tmp_path / "rendered", show_secrets=True)
    found = handmade.Cluster(tmp_path / "rendered", {})
    assert len(found.machines) == 7
    assert len({found.first(kind) for kind in ("etcd", "postgres", "load-balancer")}) == 3
    assert found.first("etcd").startswith("10.78.0.")
    assert found.prefix == "/service/bench/"
    assert found.etcd.address == found.first("etcd")
    devices = {one: set(handmade.volumes(_domain(found, one))) for one in found.machines}
    assert devices.pop("load-balancer-1") == {"vda", "sda"}
    assert all(there == {"vda", "vdb", "sda"} for there in devices.values())


def _domain(found: Any, machine: str) -> Path:
    place: Path = found.rendered / machine / "domain.xml"
    return place


def test_results_are_kept_as_json(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measures = bench("measures")
    monkeypatch.setattr(measures, "ROOT", tmp_path)
    monkeypatch.setattr(measures, "RESULTS", tmp_path / "build" / "bench.json")
    measures.keep([measures.Measure("a", (1.0,))])
    assert '"median": 1.0' in (tmp_path / "build" / "bench.json").read_text()
