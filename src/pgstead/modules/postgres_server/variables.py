"""The variables of a PostgreSQL server on its own.

Names and defaults are those of the module it re-creates; a variable of ours says so.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from pgstead.modules.parts.certificates import YEAR
from pgstead.modules.parts.containers import (
    ContainerRegistry,
    Image,
    Runtime,
    require_encrypted,
)
from pgstead.modules.parts.guest import DataGuest
from pgstead.modules.parts.model import (
    Blank,
    Hours,
    Line,
    Many,
    Secret,
    Version,
    problem,
    reveal,
)
from pgstead.modules.parts.network import Network
from pgstead.modules.parts.postgresql_packages import PackageSource
from pgstead.modules.postgres_server.parameters import parse_parameters

__all__ = ["PostgresServer"]

Name = Annotated[Line, StringConstraints(min_length=1, max_length=63)]


class PostgresServer(DataGuest):
    """Variables of the module `postgres-server`."""

    source: Literal["postgres-server", "kvm-postgres-server"] = Field(
        default="postgres-server", description="The module."
    )
    version: Version | None = Field(
        default=None,
        description=(
            "Major version, e.g. 15; without one, that of postgres_image, else the newest there is"
            " when the server is made. It stays: another one cannot open the data, and is refused."
            " Ours."
        ),
    )
    postgres_image: Annotated[Image | None, Blank] = Field(
        default=None,
        description=(
            "Image of PostgreSQL, like the official ones, to run it in a container on guests;"
            " without one, packages. On the platform local, whatever is installed runs."
        ),
    )
    container_registry: ContainerRegistry = Field(
        default_factory=ContainerRegistry,
        description="Registry of postgres_image, if it names none itself. On guests; ours.",
    )
    container_runtime: Runtime = Field(
        default="podman", description="What runs the container. On guests; ours."
    )
    package_source: PackageSource = Field(
        default="distribution",
        description=(
            "Whose packages are installed on guests: the distribution's, or those of"
            " PostgreSQL's own apt repository. Ours."
        ),
    )
    postgres_params: str = Field(
        default="", description="Parameters as on PostgreSQL's command line: -c 'name=value' ..."
    )
    postgres_user: Name = Field(default="postgres", description="Name of the superuser.")
    postgres_database: Name = Field(
        default="postgres", description="Database that is made, owned by postgres_user."
    )
    postgres_password: Secret | None = Field(
        default=None,
        description=(
            "Password of postgres_user; without one, pgstead makes it: output db_password."
        ),
    )
    domains: Many[Line] = Field(
        default=(), description="Domain names in the server's certificate, besides its address."
    )
    certificate_validity_period: Hours = Field(
        default=100 * YEAR, description="How long the certificate is valid, in hours."
    )
    certificate_early_renewal: Hours = Field(
        default=YEAR,
        description="How long before its end the certificate is renewed, in hours.",
    )
    certificate_early_renewal_period: Hours | None = Field(
        default=None, description="Another name of certificate_early_renewal, and before it."
    )
    key_length: Literal[2048, 3072, 4096] | None = Field(
        default=4096, description="Length of the certificate's RSA key in bits."
    )
    allowed_networks: Many[Network] | None = Field(
        default=None,
        description=(
            "Networks that may log in; without them, any address (on the platform local:"
            " 127.0.0.0/8). Ours."
        ),
    )

    @model_validator(mode="after")
    def _has_an_authority(self) -> Self:
        if self.ca is None:
            raise problem("is required: it signs the server's certificate", "ca")
        return self

    @model_validator(mode="after")
    def _parameters_are_understood(self) -> Self:
        try:
            parse_parameters(self.postgres_params)
        except ValueError as error:
            raise problem(str(error), "postgres_params") from None
        return self

    @model_validator(mode="after")
    def _registry_is_encrypted_for_docker(self) -> Self:
        require_encrypted(self.container_runtime, self.container_registry)
        return self

    @model_validator(mode="after")
    def _password_fits_a_file_of_variables(self) -> Self:
        """A container gets it by a file `NAME=value`, which knows no quotes."""
        password = reveal(self.postgres_password)
        odd = not password.isprintable() or password != password.strip("\"' \t")
        if self.postgres_image is not None and odd:
            words = "must be one line, without a quote or a blank at its ends"
            raise problem(words, "postgres_password")
        return self

    @property
    def early_renewal(self) -> int:
        """How long before its end the certificate is renewed, in hours."""
        return self.certificate_early_renewal_period or self.certificate_early_renewal

    @property
    def wanted_version(self) -> str | None:
        """The version that is asked for, by itself or as the image's tag."""
        if self.version is not None:
            return self.version
        image = (self.postgres_image or "").rpartition("/")[2].partition("@")[0]
        major = image.partition(":")[2].split("-")[0].split(".")[0]
        return major if major.isdigit() else None
