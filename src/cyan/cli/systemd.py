"""Telling systemd that the server is ready (sd_notify(3)): a line to a socket, if there is one."""

import os
import socket

import structlog

_log = structlog.get_logger(__name__)


def notify(state: str) -> None:
    """Send `state`, such as READY=1, to the service manager that has started us, if one did.

    A message that cannot be sent is logged, and nothing else: the manager gives up by itself.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # a name in the abstract namespace (unix(7))
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect(address)
            sender.sendall(state.encode())
    except OSError as error:
        _log.warning("systemd.not_told", state=state, error=error.strerror)
