"""What a cloud lacks, and how it is put right."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

pytest.importorskip("openstack")

from keystoneauth1 import exceptions as identity

from pgstead.platforms.finding import Finding
from pgstead.platforms.openstack.doctor import doctor
from pgstead.spec.openstack import OpenStackPlatform as Settings
from support.openstack.fake import GIVEN, FakeCloud


def looked(cloud: FakeCloud, instances: int = -1, used: int = 0, **more: Any) -> dict[str, Finding]:
    there: Any = cloud
    absolute = SimpleNamespace(instances=instances, instances_used=used)
    cloud.compute.get_limits.return_value = SimpleNamespace(absolute=absolute)
    cloud.block_storage.volumes.return_value = []
    settings = Settings.model_validate({**GIVEN, "delivery": "user_data", **more})
    return {one.name: one for one in doctor(settings, lambda: there)}


def open_cloud() -> FakeCloud:
    cloud: Any = FakeCloud()
    cloud.authorize = mock.Mock(return_value="token")
    cloud.close = mock.Mock()
    return cloud  # type: ignore[no-any-return]


def test_a_cloud_that_has_everything() -> None:
    cloud = open_cloud()
    found = looked(cloud)
    assert all(one.ok for one in found.values()), found
    assert found["quota of servers"].found == "unlimited"
    assert {"network inside", "image debian", "flavor small", "compute (nova)"} <= found.keys()
    assert cloud.close.called  # type: ignore[attr-defined]


def test_who_is_not_let_in_is_told_so_and_nothing_else() -> None:
    cloud: Any = open_cloud()
    cloud.authorize.side_effect = identity.Unauthorized("no")
    (found,) = looked(cloud).values()
    assert not found.ok
    assert "refuses the credentials" in found.found
    assert "clouds.yaml" in str(found.hint)


def test_names_that_are_not_there_and_quotas_that_are_too_small() -> None:
    found = looked(open_cloud(), instances=10, used=5, flavor="smal")
    lacking = {name: one for name, one in found.items() if not one.ok}
    assert lacking.keys() == {"flavor smal", "quota of servers"}
    assert "did you mean small?" in str(lacking["flavor smal"].hint)
    assert lacking["quota of servers"].found == "5 more of 10"


def test_a_service_that_does_not_answer_is_named() -> None:
    cloud = open_cloud()
    cloud.image.images.side_effect = identity.EndpointNotFound("image endpoint not found")
    found = looked(cloud)
    assert not found["image (glance)"].ok
    assert "network inside" not in found, "there is no use in looking on"
