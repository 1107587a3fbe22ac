"""A PostgreSQL server of its own, by its name of old."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pgstead.modules.parts.containers import Image
from pgstead.modules.parts.kvm import KvmGuest
from pgstead.modules.postgres_server.variables import Name, PostgresServer

__all__ = ["KvmPostgresServer"]


class KvmPostgresServer(KvmGuest, PostgresServer):
    """Variables of the module `kvm-postgres-server`: as `postgres-server`, in a container."""

    source: Literal["kvm-postgres-server"] = Field(
        default="kvm-postgres-server", description="The module."
    )
    postgres_image: Image = Field(
        description="Image of PostgreSQL, like the official ones, to run it in a container."
    )
    postgres_user: Name = Field(description="Name of the superuser.")
    postgres_database: Name = Field(description="Database that is made, owned by postgres_user.")
