"""The first visit: devices that are alive already, and a real board's way to this server."""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import msgspec
from starlette.responses import Response

from cyan.console.home import WELCOME
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.visit import Visit
from cyan.core.config import Config
from cyan.rest.errors import described
from cyan.wire.errors import MisuseError

SHOWN_DEVICES: Final = 5

_HOST = re.compile(r"[A-Za-z0-9.$-]{1,63}\Z")
"""What a board can store: an IPv4 address or a name (device-protocol.md §1.3.1)."""

_LOCAL = re.compile(r"(localhost|127\..*|\[?::1\]?)\Z")


class Transport(msgspec.Struct, frozen=True):
    """How a kind of board comes to the server."""

    key: str
    label: str
    boards: str
    option: str
    """What the CLI has to be told besides."""

    @property
    def file(self) -> str:
        """What the file of the server's key is called."""
        return f"server_{self.key}_public.der"


UDP: Final = Transport(
    "udp",
    "Electron, Gen 3 and later",
    "Photon 2, P2, Boron, B-Series, Tracker, Argon, Muon, M-Series, Electron",
    "",
)
TCP: Final = Transport("tcp", "Core, Photon, P1", "Core, Photon, P1", " --protocol tcp")
TRANSPORTS: Final = (UDP, TCP)


def pages(needs: Needs) -> list[Page]:
    room = _Welcome(needs)
    return [
        Page("GET", WELCOME, room.show),
        Page("GET", f"{WELCOME}/{{file}}", room.server_key),
    ]


class _Welcome:
    def __init__(self, needs: Needs) -> None:
        self._needs = needs
        self._key: Callable[[str, str], bytes] = needs.server_key

    async def show(self, visit: Visit) -> Response:
        transport = TCP if visit.query.get("board") == TCP.key else UDP
        host = visit.query.get("host", "").strip() or board_host(visit, self._needs.config)
        own = self._needs.access.search_own(visit.caller, "", SHOWN_DEVICES)
        return visit.page(
            "welcome.html",
            devices=[(device, self._needs.presence.is_online(device.id)) for device in own],
            transports=TRANSPORTS,
            transport=transport,
            host=host,
            host_error=None if _HOST.match(host) else "A name, or an IPv4 address.",
            is_local=_LOCAL.match(host) is not None,
            api_url=address_of(visit, self._needs.config),
            is_open=self._needs.config.enrolment == "open",
            udp_port=self._needs.config.udp_port,
            tcp_port=self._needs.config.tcp_port,
        )

    async def server_key(self, visit: Visit) -> Response:
        """The file for `particle keys server`: what anybody may know."""
        transport = next((one for one in TRANSPORTS if one.file == visit.path["file"]), None)
        if transport is None:
            raise described(404, "not_found", "There is no such file.")
        host = visit.query.get("host", "") or board_host(visit, self._needs.config)
        try:
            if not _HOST.match(host):
                raise MisuseError(host)
            content = self._key(transport.key, host)
        except MisuseError as error:
            text = "A board stores a name of at most 63 characters, or an IPv4 address."
            raise described(400, "bad_host", text) from error
        headers = {"content-disposition": f'attachment; filename="{transport.file}"'}
        return Response(content, media_type="application/octet-stream", headers=headers)


def address_of(visit: Visit, config: Config) -> str:
    """The server's own address: the setting, else the one that the browser came to."""
    url = visit.request.url
    return config.public_url.rstrip("/") or f"{url.scheme}://{url.netloc}"


def board_host(visit: Visit, config: Config) -> str:
    """What a board should look up: the setting, else the host of that address."""
    return config.public_host or urlsplit(address_of(visit, config)).hostname or ""
