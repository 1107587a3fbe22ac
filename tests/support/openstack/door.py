"""A way to the lab from a network namespace of a test's own, whose loopback is another one."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress

from support.openstack.lab import Lab
from support.openstack.services import SERVICES

CHUNK = 65536
POLL = 0.05
"""Seconds until a door that is to be closed hears of it."""

Network = Callable[[], AbstractContextManager[None]]


@contextmanager
def door(lab: Lab, network: Network) -> Iterator[None]:
    """Have the lab's services listen in that network too, at the same address and ports.

    A socket belongs to the network in which it was made, wherever it is used: these listen
    inside, and what they accept is led on from here, where the lab is.
    """
    with ExitStack() as at_end:
        with network():
            inside = [_Door((lab.address, one.port), _Visitor) for one in SERVICES.values()]
        for one in inside:
            at_end.callback(one.server_close)
            threading.Thread(target=one.serve_forever, args=(POLL,), daemon=True).start()
            at_end.callback(one.shutdown)
        yield


class _Door(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class _Visitor(socketserver.BaseRequestHandler):
    """One connection."""

    def handle(self) -> None:
        with socket.create_connection(self.request.getsockname()) as lab:
            back = threading.Thread(target=_lead, args=(lab, self.request), daemon=True)
            back.start()
            _lead(self.request, lab)
            back.join()


def _lead(source: socket.socket, target: socket.socket) -> None:
    """Give on what comes, and its end."""
    with suppress(OSError):  # one side is gone, and soon the other
        while data := source.recv(CHUNK):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
