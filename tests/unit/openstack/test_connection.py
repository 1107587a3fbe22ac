"""How the cloud is found, and how patiently it is asked."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import yaml

pytest.importorskip("openstack")

from urllib3 import HTTPResponse
from urllib3.util.retry import Retry

from pgstead.platforms.openstack import connection
from pgstead.platforms.openstack.connection import Cloud
from pgstead.platforms.openstack.errors import CloudDown
from pgstead.spec.openstack import OpenStackPlatform as Settings


@pytest.fixture
def clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auth = {"auth_url": "http://127.0.0.1:9/v3", "username": "u", "password": "hunter2"}
    file = tmp_path / "clouds.yaml"
    file.write_text(yaml.safe_dump({"clouds": {"production": {"auth": auth}}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    for name in ("OS_CLOUD", "OS_AUTH_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("clouds")
def test_a_cloud_that_clouds_yaml_does_not_name() -> None:
    with pytest.raises(CloudDown) as told:
        _ = Cloud(Settings(cloud="producton")).connection
    assert "did you mean production?" in told.value.message
    assert "hunter2" not in told.value.message
    assert "clouds.yaml" in str(told.value.hint)


@pytest.mark.usefixtures("clouds")
def test_a_cloud_that_nothing_names(tmp_path: Path) -> None:
    (tmp_path / "clouds.yaml").write_text("clouds: {}\n")
    with pytest.raises(CloudDown) as told:
        _ = Cloud(Settings()).compute
    assert "OS_* variables" in str(told.value.hint)


@pytest.mark.usefixtures("clouds")
def test_a_cloud_that_is_not_there_tells_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_patience", lambda: Retry(0))
    with pytest.raises(CloudDown) as told:
        _ = Cloud(Settings(cloud="production")).project
    assert "hunter2" not in f"{told.value.message} {told.value.hint}"


def test_questions_are_asked_again_and_changes_are_not() -> None:
    session = requests.Session()
    made: Any = SimpleNamespace(session=SimpleNamespace(session=session))
    cloud = Cloud(Settings(), lambda: made)
    assert cloud.connection is made
    patience = session.get_adapter("https://cloud").max_retries  # type: ignore[attr-defined]
    assert set(patience.allowed_methods) == {"GET", "HEAD"}
    assert {502, 503, 504} == set(patience.status_forcelist)
    (count,) = session.hooks["response"]
    count(requests.Response())
    assert cloud.requests == 1


@pytest.mark.parametrize(
    ("method", "status", "asked_again"),
    [("POST", 429, True), ("DELETE", 429, True), ("GET", 503, True), ("POST", 503, False)],
)
def test_what_is_asked_again(method: str, status: int, asked_again: bool) -> None:  # noqa: FBT001
    assert connection._patience().is_retry(method, status, True) is asked_again


@pytest.mark.parametrize(("told", "waited"), [("7", 7.0), ("9999", 60.0), ("0", 0.0), (None, 1.0)])
def test_the_cloud_says_when_and_is_obeyed_within_reason(
    monkeypatch: pytest.MonkeyPatch, told: str | None, waited: float
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(connection, "pause", pauses.append)
    answer: Any = HTTPResponse(status=429, headers={"Retry-After": told} if told else {})
    patience = connection._patience()
    for _ in range(2):
        patience = patience.increment("POST", "/servers", answer)
    patience.sleep(answer)
    assert pauses == [waited]
