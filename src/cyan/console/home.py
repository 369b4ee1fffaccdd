"""The front door: the list of devices, or for who has none the first visit."""

from starlette.responses import Response

from cyan.console.model import ROOT
from cyan.console.needs import Needs
from cyan.console.pages import Page
from cyan.console.visit import Visit

DEVICES = f"{ROOT}/devices"
WELCOME = f"{ROOT}/welcome"


def pages(needs: Needs) -> list[Page]:
    async def home(visit: Visit) -> Response:
        has_devices = bool(needs.access.search_own(visit.caller, "", 1))
        return visit.go(DEVICES if has_devices else WELCOME)

    return [Page("GET", ROOT, home)]
