"""The base of every model of a stack file, and the types of their fields."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from pgstead.spec.source import TreePath

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue  # start-up time
    from pydantic_core import CoreSchema

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DNS_NAME = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*\.?", re.IGNORECASE)
_DURATION = re.compile(r"(?P<count>[1-9][0-9]{0,8})(?P<unit>us|ms|s|m|h|d)")
_MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Model(BaseModel):
    """A frozen mapping that knows all of its keys and converts nothing silently.

    Sequences are tuples: a list is taken for one, so fields are declared `tuple[X, ...]`
    and never `list[X]`. Choices are `Literal`, since an enum would want its own instances.
    A field with a `default_factory` is a section: written without a body it has its defaults.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, defer_build=True, hide_input_in_errors=True
    )

    @model_validator(mode="before")
    @classmethod
    def _sequences(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {
            key: _tuples(value)
            for key, value in data.items()
            if value is not None or not cls._is_section(key)
        }

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema of what is taken: a section may be empty."""
        made = handler(core_schema)
        properties = handler.resolve_ref_schema(made).get("properties", {})
        for key, value in properties.items():
            if cls._is_section(key):
                words = {
                    word: value.pop(word) for word in ("title", "description") if word in value
                }
                properties[key] = {**words, "anyOf": [value, {"type": "null"}]}
        return made

    @classmethod
    def _is_section(cls, key: Any) -> bool:
        """Whether nothing at all stands for the defaults: a section with an empty body."""
        field = cls.model_fields.get(key)
        return field is not None and field.default_factory is not None


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value


class Problems(ValueError):
    """What a model's own rules found: for each, the field (from the model down) and the words."""

    def __init__(self, found: Sequence[tuple[TreePath, str]]) -> None:
        super().__init__("; ".join(words for _, words in found))
        self.found = tuple(found)


def _is_template(value: Any) -> bool:
    """Whether a text still waits for `interpolate`; its content is checked after that."""
    return isinstance(value, str) and "${" in value


def _secret(value: Any) -> Any:
    return SecretStr(value) if isinstance(value, str) else value


def _version(value: Any) -> Any:
    if isinstance(value, float):
        message = 'must be in quotes, e.g. "15.10": without them 15.10 is the number 15.1'
        raise ValueError(message)  # noqa: TRY004 - pydantic takes ValueError only
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _version_text(value: str) -> str:
    if not _is_template(value) and not re.fullmatch(r"[0-9]+(\.[0-9]+)*", value):
        raise ValueError("must be a version number, e.g. 15")
    return value


def _duration(value: str) -> str:
    if not _is_template(value) and not _DURATION.fullmatch(value):
        raise ValueError("must be a number with a unit (us, ms, s, m, h or d), e.g. 300ms")
    return value


def _needs_unit(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError("must have a unit (us, ms, s, m, h or d), e.g. 300ms")  # noqa: TRY004 - as above
    return value


def milliseconds(duration: str) -> float:
    """A `Duration` as a number; raises `ValueError` for what is not one."""
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise ValueError(f"{duration} is not a duration")
    return int(found["count"]) * _MILLISECONDS[found["unit"]]


def _network(value: str) -> str:
    if not _is_template(value):
        try:
            ipaddress.ip_network(value)
        except ValueError:
            raise ValueError("must be a network such as 10.20.0.0/16") from None
    return value


def _line(value: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError("must be one line, without control characters")
    return value


def _label(value: str) -> str:
    if not re.fullmatch(_LABEL, value):
        raise ValueError("must be lower-case letters, digits and hyphens, at most 63")
    return value


def is_address(value: str) -> bool:
    """Whether a text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _host(value: str) -> str:
    if not (_is_template(value) or _DNS_NAME.fullmatch(value) or is_address(value)):
        raise ValueError("must be a DNS name or an IP address")
    return value


def _location(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str) or not value:
        return value
    folder = (info.context or {}).get("folder", Path())
    try:
        return Path(folder) / Path(value).expanduser()
    except RuntimeError:
        raise ValueError("names the home folder of a user who does not exist") from None


def _image(value: Any, info: ValidationInfo) -> Any:
    begins = isinstance(value, str) and value.startswith(("./", "../", "~"))
    return str(_location(value, info)) if begins else value


Text = str
"""Plain text: a secret that flows into it is refused."""

Secret = Annotated[
    SecretStr,
    BeforeValidator(_secret),
    WithJsonSchema({"type": "string", "format": "password", "writeOnly": True}),
]
"""Text that is never shown; takes plain text as well as what a secret flowed into."""

Version = Annotated[
    str,
    BeforeValidator(_version),
    AfterValidator(_version_text),
    WithJsonSchema({"type": ["string", "integer"]}),
]
"""A version number; `15` without quotes is taken as "15"."""

Duration = Annotated[
    str,
    BeforeValidator(_needs_unit),
    AfterValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,8}(us|ms|s|m|h|d)$"}),
]
"""A time span as HAProxy writes it: `300ms`, `1s`, `5m`, `24h`."""

Line = Annotated[str, AfterValidator(_line)]
"""Text that cannot end the line of a configuration file that it goes into."""

Label = Annotated[
    str, AfterValidator(_label), WithJsonSchema({"type": "string", "pattern": f"^{_LABEL}$"})
]
"""A DNS label in lower case."""

Host = Annotated[str, AfterValidator(_host)]
"""A DNS name, which may begin with `*.`, or an IP address."""

Network = Annotated[str, AfterValidator(_network)]
"""An IPv4 or IPv6 network, as `10.20.0.0/16`."""

Port = Annotated[int, Field(ge=1, le=65535)]
"""A TCP port."""

Location = Annotated[
    Path, BeforeValidator(_location), WithJsonSchema({"type": "string", "minLength": 1})
]
"""A path on this machine, made absolute from the stack file's folder; `~` is a home folder."""

Image = Annotated[str, BeforeValidator(_image)]
"""A volume, or a file: a path that begins with `./`, `../` or `~` starts from the stack file."""

Setting = str | int | float | bool
"""A PostgreSQL parameter's value, as it stands in the file."""
