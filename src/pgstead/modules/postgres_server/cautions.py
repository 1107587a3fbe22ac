"""What is allowed, but known to hurt."""

from __future__ import annotations

from collections.abc import Iterator

from pgstead.modules.base import Context
from pgstead.modules.parts.certificates import lifetime_cautions
from pgstead.modules.parts.containers import registry_cautions
from pgstead.modules.parts.guest import without_effect
from pgstead.modules.postgres_server.variables import PostgresServer

__all__ = ["cautions"]

GUEST_ONLY = ("container_registry", "container_runtime", "package_source")


def cautions(variables: PostgresServer, context: Context) -> tuple[str, ...]:
    """Warnings about these variables, in whole sentences."""
    return (
        *lifetime_cautions(variables),
        *_image(variables, context),
        *registry_cautions(variables.container_registry),
        *_networks(variables, context),
        *without_effect(variables, context, *GUEST_ONLY),
    )


def _image(variables: PostgresServer, context: Context) -> Iterator[str]:
    if variables.postgres_image is None or not context.facts.shares_kernel:
        return
    there = context.facts.versions.get("postgresql")
    runs = "from packages" if there is None else f"{there} from packages"
    yield (
        f"postgres_image {variables.postgres_image!r} is not run: PostgreSQL runs {runs},"
        " not in a container."
    )


def _networks(variables: PostgresServer, context: Context) -> Iterator[str]:
    if variables.allowed_networks is None and not context.facts.shares_kernel:
        yield (
            "allowed_networks is not given: any address may try to log in, with TLS and a password."
        )
