"""`pgstead timings`: every setting with its origin, for clusters and for modules alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pgstead.cli.app import app
from pgstead.errors import SpecError
from pgstead.operations.timings import Report, timings
from pgstead.spec import expand, load

CLUSTER = """\
name: unit
platform: {kind: memory}
cluster:
  timings:
    target: slow
    checks:
      fall: 4
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "pgstead.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def report(file: Path) -> Report:
    ((found,), _) = timings(file)
    return found


def lines(found: Report) -> dict[str, tuple[object, str]]:
    return {line.name: (line.value, line.origin) for line in found.settings}


def test_a_cluster_tells_where_each_value_is_from(tmp_path: Path) -> None:
    file = write(tmp_path, CLUSTER)
    found = report(file)
    assert found.target == "slow"
    said = lines(found)
    assert said["timings.checks.fall"] == (4, f"{file}:7")
    assert said["timings.ttl"] == (60, "target slow")
    assert said["timings.checks.rise"] == (1, "default")
    assert said["timings.etcd.round_trip"] == (0.001, "default")
    assert found.faults["leader-dead"].seconds == pytest.approx(70.7)


def test_modules_tell_it_by_their_own_variables(tmp_path: Path) -> None:
    text = expand(load(write(tmp_path, CLUSTER)))
    file = write(tmp_path, text)
    numbers = {line.strip(): at for at, line in enumerate(text.splitlines(), 1)}
    found = report(file)
    assert found.target is None
    said = lines(found)
    assert said["patroni.ttl"][0] == 60
    first = min(at for at, line in enumerate(text.splitlines(), 1) if line.strip() == "ttl: 60")
    assert said["patroni.ttl"][1] == f"{file}:{first}"
    assert said["haproxy.checks.fall"] == (4, f"{file}:{numbers['fall: 4']}")
    value, origin = said["postgres.params.wal_sender_timeout"]
    assert value == 30
    assert "wal_sender_timeout" in text.splitlines()[int(origin.rpartition(":")[2]) - 1]
    assert said["haproxy.tcp.keepalives_idle"] == (5, "default")
    assert said["etcd.election_timeout"][0] == 5
    assert "etcd" not in said


def test_a_stack_without_patroni_has_none(tmp_path: Path) -> None:
    cluster = "name: x\nplatform: {kind: memory}\nmodules: {}\n"
    with pytest.raises(SpecError, match="no Patroni cluster"):
        timings(write(tmp_path, cluster))


def test_the_command_prints_tables_and_one_json_document(tmp_path: Path) -> None:
    file = str(write(tmp_path, CLUSTER))
    shown = CliRunner().invoke(app, ["timings", file])
    assert shown.exit_code == 0, shown.output
    assert "unit: timings, target slow" in shown.output
    assert "leader-dead" in shown.output
    document = json.loads(CliRunner().invoke(app, ["timings", file, "--format", "json"]).stdout)
    (cluster,) = document["clusters"]
    assert cluster["scope"] == "unit"
    named = {one["setting"]: one for one in cluster["settings"]}
    assert named["timings.connect"] == {
        "setting": "timings.connect",
        "value": 10.0,
        "unit": "s",
        "from": "target slow",
        "why": named["timings.connect"]["why"],
        "source": "https://docs.haproxy.org/2.6/configuration.html",
    }
    faults = {one["fault"]: one for one in cluster["worst_cases"]}
    dead = faults["leader-dead"]
    assert dead["seconds"] == pytest.approx(sum(term["seconds"] for term in dead["terms"]))
    assert faults["cut-standbys"]["seconds"] is None
