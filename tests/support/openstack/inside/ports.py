"""A driver of neutron's that binds every port at once: no agent has to run anywhere."""

from __future__ import annotations

from typing import Any

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class Anywhere(api.MechanismDriver):  # type: ignore[misc]
    """A mechanism driver of the ML2 plugin."""

    def initialize(self) -> None:
        """Nothing has to be prepared."""

    @property
    def connectivity(self) -> str:
        return str(portbindings.CONNECTIVITY_L2)

    def bind_port(self, context: Any) -> None:
        context.set_binding(
            context.segments_to_bind[0][api.ID],
            portbindings.VIF_TYPE_OTHER,
            {portbindings.CAP_PORT_FILTER: True},
            status=constants.PORT_STATUS_ACTIVE,
        )
