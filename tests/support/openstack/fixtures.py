"""The fixtures of tests that need a cloud.

`tests/conftest.py` alone imports them: each module that did would have a lab of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgstead.errors import PgsteadError
from support.openstack.environment import installed
from support.openstack.lab import Lab, running
from support.openstack.project import Project, project_in


@pytest.fixture(scope="session")
def openstack_lab() -> Iterator[Lab]:
    """A lab that runs, one for each worker of pytest: what a test breaks disturbs no other's."""
    pytest.importorskip("openstack", reason="not installed: openstacksdk")
    try:
        made = installed()
    except (PgsteadError, OSError) as error:
        pytest.skip(f"OpenStack's services cannot be installed: {error}")
    with running(made) as lab:
        yield lab


@pytest.fixture(scope="module")
def openstack_project(openstack_lab: Lab) -> Iterator[Project]:
    """A project in which nothing was made yet, and in which nothing may be left."""
    with project_in(openstack_lab) as made:
        yield made
