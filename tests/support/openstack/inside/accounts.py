"""Keystone from nothing: its tables and keys, the catalogue, an administrator and a member.

In the lab's folder. All of it is written to the database by keystone's own code: no server has
to run for it.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import keystone.server
from keystone.cmd.bootstrap import Bootstrapper
from keystone.common import fernet_utils, sql
from keystone.common.provider_api import ProviderAPIs as Providers
from keystone.common.sql import upgrades

from support.openstack.services import NOWHERE, PASSWORD, REGION, SERVICES, USERS, Service

SIDES = ("public", "internal", "admin")


def make_keys() -> None:
    for name in ("fernet_tokens", "credential"):
        folder = Path.cwd() / name.partition("_")[0]
        keys = fernet_utils.FernetUtils(str(folder), 3, name)
        keys.create_key_directory()
        keys.initialize_key_repository()


def bootstrap(identity_url: str) -> Bootstrapper:
    """What `keystone-manage bootstrap` does."""
    made = Bootstrapper()
    made.admin_username = made.project_name = made.admin_role_name = "admin"
    made.admin_password, made.service_name, made.region_id = PASSWORD, "keystone", REGION
    made.public_url = made.internal_url = made.admin_url = identity_url
    made.bootstrap()
    return made


def add_service(service: Service) -> None:
    key = uuid.uuid4().hex
    named: dict[str, object] = {
        "id": key,
        "name": service.name,
        "type": service.kind,
        "enabled": True,
    }
    Providers.catalog_api.create_service(key, named)
    for side in SIDES:
        one = uuid.uuid4().hex
        url = service.url(NOWHERE) + service.path
        endpoint: dict[str, object] = {"id": one, "service_id": key, "interface": side, "url": url}
        endpoint |= {"region_id": REGION, "enabled": True}
        Providers.catalog_api.create_endpoint(one, endpoint)


def add_member(made: Any, name: str) -> None:
    """A user with a project of the same name, and no rights but a member's."""
    domain, project = made.default_domain_id, uuid.uuid4().hex
    wanted = {"id": project, "name": name, "domain_id": domain, "enabled": True}
    wanted |= {"description": "", "is_domain": False, "parent_id": domain}
    Providers.resource_api.create_project(project, wanted)
    user = {"name": name, "password": PASSWORD, "domain_id": domain, "enabled": True}
    found = Providers.identity_api.create_user(user)
    assign(found["id"], project, made.member_role_id)


def assign(user: str, project: str, role: str) -> None:
    Providers.assignment_api.add_role_to_user_and_project(user, project, role)


def main() -> None:
    keystone.server.configure(config_files=["etc/keystone.conf"])
    sql.initialize()
    upgrades.offline_sync_database_to_version()
    make_keys()
    identity = SERVICES["keystone"]
    made = bootstrap(identity.url(NOWHERE) + identity.path)
    assign(made.admin_user_id, made.project_id, made.service_role_id)
    for service in SERVICES.values():
        if service is not identity:
            add_service(service)
    for name in USERS:
        add_member(made, name)


if __name__ == "__main__":
    main()
