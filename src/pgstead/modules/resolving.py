"""References between modules, resolved when they are needed and no earlier."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import SecretStr

from pgstead.certificates import KeyPair
from pgstead.errors import SpecError
from pgstead.modules.base import Context
from pgstead.modules.outputs import OutputValue
from pgstead.modules.parts.certificates import issue
from pgstead.modules.parts.cloud import existing_port
from pgstead.modules.parts.interfaces import wanted_address
from pgstead.modules.registry import KINDS, Kind
from pgstead.spec import (
    ModuleSource,
    Reference,
    Stack,
    Tree,
    UnknownName,
    interpolate,
    parse,
)
from pgstead.spec.nearest import suggestion

__all__ = ["Resolver"]

Asked = tuple[str, str]
"""A module's key and one of its outputs."""


class Resolver:
    """The variables and outputs of a stack's modules.

    An output needs some of its module's variables, and these may need other outputs; each
    is worked out once. Raises `SpecError` for what needs itself.
    """

    def __init__(self, stack: Stack, context: Context) -> None:
        self._stack = stack
        self._context = context
        self._materials = context.materials
        self._port_address = context.facts.port_address
        self._values: dict[Asked, OutputValue] = {}
        self._asked: list[Asked] = []

    def kind(self, module: ModuleSource) -> Kind:
        """The kind of a module. Raises `SpecError` for an unknown one."""
        kind = KINDS.get(module.source)
        if kind is None:
            words = f"there is no module {module.source!r}{suggestion(module.source, KINDS)}"
            raise self._stack.source.error((*module.path, "source"), words)
        return kind

    def variables(self, module: ModuleSource) -> Tree:
        """A module's variables, every reference in them replaced."""
        return interpolate(dict(module.variables), self._lookup, self._stack.source, module.path)

    def variable(self, module: ModuleSource, name: str) -> Any:
        """One top level variable of a module; None if it is not given."""
        tree = module.variables.get(name)
        return interpolate(tree, self._lookup, self._stack.source, (*module.path, name))

    def output(self, key: str, name: str) -> OutputValue:
        """An output. Raises `UnknownName` for one that the module does not have."""
        asked = key, name
        if asked not in self._values:
            module = self._stack.modules.get(key)
            if module is None:
                raise UnknownName("module", key, self._stack.modules)
            outputs = self.kind(module).outputs
            if name not in outputs:
                raise UnknownName(f"output of {module.source}", name, outputs)
            with self._asking(asked):
                self._values[asked] = outputs[name](_Asked(self, module))
        return self._values[asked]

    def address(self, module: ModuleSource) -> str:
        """The address of a module's machine."""
        get = partial(self.variable, module)
        wanted = wanted_address(get)
        if wanted is None and (port := existing_port(get)) is not None:
            wanted = self._port_address(port)
        if wanted is not None and not isinstance(wanted, str):
            raise self._stack.source.error((*module.path, "ip"), "must be an IPv4 address")
        return self._materials.address(self.name(module), wanted)

    def name(self, module: ModuleSource) -> str:
        """The name of a module's machine."""
        name = self.kind(module).named(partial(self.variable, module))
        if not isinstance(name, str):
            raise self._stack.source.error((*module.path, "name"), "the machine needs a name")
        return name

    def password(self, module: ModuleSource, what: str) -> str:
        """A password that pgstead makes for the module."""
        return self._materials.password(f"{module.key}/{what}")

    def client_certificate(
        self, module: ModuleSource, what: str, common_name: str
    ) -> KeyPair | None:
        """A client's certificate, as the module's variables have its own issued."""
        model = self.kind(module).model
        variables = parse(model, self.variables(module), self._stack.source, module.path)
        if variables.ca is None:
            return None
        context = replace(self._context, module=module.key)
        return issue(context, variables, what, common_name=common_name, client=True)

    def _lookup(self, reference: Reference) -> Any:
        if reference.kind == "passwords":
            if reference.name not in self._stack.passwords:
                raise UnknownName("password", reference.name, self._stack.passwords)
            return SecretStr(self._materials.password(reference.name))
        found = self.output(reference.name, reference.output or "")
        return SecretStr(str(found.value)) if found.secret else found.value

    @contextmanager
    def _asking(self, asked: Asked) -> Iterator[None]:
        if asked in self._asked:
            cycle = [*self._asked[self._asked.index(asked) :], asked]
            way = " -> ".join(f"modules.{key}.{output}" for key, output in cycle)
            raise SpecError(
                f"outputs need each other in a circle: {way}",
                hint="Write one of these values out.",
            )
        self._asked.append(asked)
        try:
            yield
        finally:
            self._asked.pop()


class _Asked:
    """A module as its outputs see it (`outputs.Source`)."""

    def __init__(self, resolver: Resolver, module: ModuleSource) -> None:
        self._resolver = resolver
        self._module = module

    @property
    def name(self) -> str:
        return self._resolver.name(self._module)

    @property
    def address(self) -> str:
        return self._resolver.address(self._module)

    def get(self, variable: str) -> Any:
        return self._resolver.variable(self._module, variable)

    def password(self, what: str) -> str:
        return self._resolver.password(self._module, what)

    def client_certificate(self, what: str, *, common_name: str) -> KeyPair | None:
        return self._resolver.client_certificate(self._module, what, common_name)
