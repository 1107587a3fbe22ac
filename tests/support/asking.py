"""A user who says yes to everything, and watches in plain lines."""

from collections.abc import Iterator
from contextlib import contextmanager

from pgstead.cli.console import err
from pgstead.cli.progress import PlainProgress
from pgstead.operations.asking import Asking


@contextmanager
def _watching() -> Iterator[PlainProgress]:
    yield PlainProgress(err())


ASKING = Asking(lambda _: True, _watching)
