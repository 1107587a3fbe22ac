"""A raw tree into a frozen model, and pydantic's errors into words."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from pgstead.errors import SpecError
from pgstead.spec.source import SourceMap, Tree, TreePath

M = TypeVar("M", bound=BaseModel)


def parse(model: type[M], tree: Tree, source: SourceMap, path: TreePath = ()) -> M:
    """The tree at `path` of a stack file as a `model`.

    Raises one `SpecError` that tells every problem, each on a line of its own that begins
    with file, line and field; no secret value is in it.
    """
    try:
        return model.model_validate(tree, context={"folder": source.folder})
    except ValidationError as error:
        from pgstead.spec.problems import problems  # noqa: PLC0415 - needed for errors only

        found = [(path + place, words) for place, words in problems(error, model, tree)]
        found.sort(key=lambda one: source.mark(one[0]).line)
        lines = [source.line(place, words) for place, words in found]
        raise SpecError("\n".join(dict.fromkeys(lines))) from None
