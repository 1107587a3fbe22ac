"""The variables as the plain settings that `pgstead.timings` works on."""

from __future__ import annotations

from pgstead.modules.postgres_load_balancer.variables import HAProxy, seconds
from pgstead.timings.settings import Balancer

__all__ = ["balancer_timings"]


def balancer_timings(haproxy: HAProxy) -> Balancer:
    """Those of a load balancer; HAProxy takes `inter` for the pauses that are left out."""
    checks, timeouts, tcp = haproxy.checks, haproxy.timeouts, haproxy.tcp
    return Balancer(
        inter=seconds(checks.inter),
        fastinter=seconds(checks.fastinter or checks.inter),
        downinter=seconds(checks.downinter or checks.inter),
        fall=checks.fall,
        rise=checks.rise,
        check_timeout=seconds(timeouts.check),
        connect=seconds(timeouts.connect),
        idle=seconds(timeouts.idle),
        shutdown_sessions=checks.shutdown_sessions_on_marked_down,
        keepalives_idle=tcp.keepalives_idle,
        keepalives_interval=tcp.keepalives_interval,
        keepalives_count=tcp.keepalives_count,
        tcp_user_timeout=tcp.user_timeout / 1000,
    )
