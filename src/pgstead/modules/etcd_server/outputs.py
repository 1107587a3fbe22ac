"""What other modules, and users, may have of an etcd member."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pgstead.certificates import KeyPair
from pgstead.modules.outputs import Output, OutputValue, Source, endpoint

__all__ = ["OF_OPENSTACK", "OUTPUTS"]


def _outputs(bootstraps: Callable[[Source], bool]) -> Mapping[str, Output]:
    """Its endpoint, and the certificate of a root that has no password.

    `bootstraps` tells whether a member sets up such a root; those of others are empty.
    """

    def of_root(part: Callable[[KeyPair], str], *, secret: bool = False) -> Output:
        def output(source: Source) -> OutputValue:
            wanted = bootstraps(source)
            pair = source.client_certificate("root", common_name="root") if wanted else None
            return OutputValue("" if pair is None else part(pair), secret)

        return output

    return {
        "endpoint": endpoint(2379),
        "root_ca_certificate": of_root(lambda pair: pair.ca),
        "root_certificate": of_root(lambda pair: pair.certificate),
        "root_key": of_root(lambda pair: pair.key, secret=True),
    }


def _has_such_a_root(source: Source) -> bool:
    given: Any = source.get("authentication_bootstrap")
    return isinstance(given, Mapping) and bool(
        given.get("bootstrap") and not given.get("root_password")
    )


OUTPUTS = _outputs(_has_such_a_root)
OF_OPENSTACK = _outputs(lambda source: bool(source.get("bootstrap_authentication")))
