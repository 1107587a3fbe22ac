"""Neutron's tables, made in the lab's folder. Its migrations do not run on SQLite."""

from __future__ import annotations

import sqlalchemy
from neutron.db.migration.models import head  # noqa: F401  (fills what is created below)
from neutron_lib.db import model_base

from support.openstack.settings import database

model_base.BASEV2.metadata.create_all(sqlalchemy.create_engine(database("neutron")))
