"""All rooms of the console, put together: a page module for each."""

from cyan.console import (
    account,
    apps,
    claiming,
    device,
    devices,
    environment,
    events,
    firmware,
    forgotten,
    home,
    ledgers,
    secrets,
    security,
    server,
    signin,
    signup,
    trail,
    transfers,
    vitals,
    welcome,
)
from cyan.console.application import Console
from cyan.console.assets import Assets
from cyan.console.charts import sparkline
from cyan.console.needs import Needs
from cyan.console.pages import Page, Pages
from cyan.console.rendering import Renderer
from cyan.console.sessions import Sessions
from cyan.core.clock import Clock
from cyan.core.config import Config
from cyan.rest.ratelimit import RateLimits


def pages(needs: Needs) -> list[Page]:
    """Every page but the static files."""
    return [
        *home.pages(needs),
        *welcome.pages(needs),
        *signin.pages(needs),
        *signup.pages(needs),
        *forgotten.pages(needs),
        *account.pages(needs),
        *security.pages(needs),
        *apps.pages(needs),
        *environment.pages(needs),
        *ledgers.pages(needs),
        *secrets.pages(needs),
        *trail.pages(needs),
        *server.pages(needs),
        *devices.pages(needs),
        *claiming.pages(needs),
        *transfers.pages(needs),
        *device.pages(needs),
        *vitals.pages(needs),
        *firmware.pages(needs),
        *events.pages(needs),
    ]


def console(
    config: Config,
    clock: Clock,
    sessions: Sessions,
    pages: list[Page],
    limits: RateLimits | None = None,
) -> Console:
    """The console as an ASGI application. `limits` are those of the API: both count together."""
    assets = Assets()
    values = {"asset": assets.url, "sparkline": sparkline, "sign_up": config.sign_up}
    return Console(
        Pages([*assets.pages(), *pages]), sessions, Renderer(clock, values), clock, limits
    )
