"""Pages of the console for an account with 100,000 devices, beside one with 100."""

import re
from pathlib import Path
from typing import Final

import httpx

from bench.api import register_all
from bench.asking import Asker
from bench.child import Child, Meter
from bench.figures import Amount, Findings, rate_of
from bench.machine import BenchError
from bench.settings import Settings
from bench.world import OWNER, PASSWORD, make_world

FEW: Final = 100
MANY: Final = 100_000
REQUESTS_IN_A_RUN: Final = 200
GOAL: Final = 1.5
"""The most that a page may cost of the large account, in parts of the small one."""

PAGES: Final = (
    "devices",
    "devices?page=2",
    "devices?q=device_7",
    "devices?online=no&sort=-connected",
    "devices/{device}",
    "events",
    "welcome",
    "account",
)


def measure(settings: Settings, folder: Path) -> Findings:
    """Each page of both accounts in turns: CPU of the server for one page."""
    sizes = (FEW, max(int(MANY * settings.scale), FEW))
    count = max(int(REQUESTS_IN_A_RUN * settings.scale), 20)
    costs: dict[str, list[list[Meter]]] = {page: [[], []] for page in PAGES}
    core = str(settings.server_core)
    servers = []
    for size in sizes:
        world = make_world(folder / str(size), 0)
        device_id = register_all(world, size)[size // 2]
        servers.append((world, device_id))
    with (
        Child("bench.server", str(servers[0][0].data), core, "real", log=folder / "few.log") as few,
        Child(
            "bench.server", str(servers[1][0].data), core, "real", log=folder / "many.log"
        ) as many,
    ):
        cookies = [_sign_in(child) for child in (few, many)]
        for run in range(settings.runs + 1):
            for page in PAGES:
                for at, child in enumerate((few, many)):
                    path = "/console/" + page.format(device=servers[at][1])
                    meter = _ask(child, path, cookies[at], count)
                    if run:  # the first one warms
                        costs[page][at].append(meter)
    return Findings(amounts=[_amount(page, costs[page], sizes[1], count) for page in PAGES])


def _amount(page: str, meters: list[list[Meter]], size: int, count: int) -> Amount:
    few, many = (rate_of(one, count).server_us for one in meters)
    return Amount(
        "pages",
        f"`/console/{page}` of an account with {size:,} devices, beside one with {FEW}",
        many / few,
        "times",
        GOAL,
        remark=f"{many / 1000:.1f} ms of the server for one page, {few / 1000:.1f} ms",
    )


def _sign_in(server: Child) -> str:
    """The cookie of a session of the owner's."""
    base = f"http://127.0.0.1:{server.ready['http_port']}"
    with httpx.Client(base_url=base, timeout=60) as client:
        form = client.get("/console/sign-in").text
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', form)
        assert token is not None
        fields = {"username": OWNER, "password": PASSWORD, "csrf": token[1]}
        client.post("/console/sign-in", data=fields)
        for name, secret in client.cookies.items():
            if name.startswith("cyan-session"):  # the port follows
                return f"{name}={secret}"
    raise BenchError("The owner cannot sign in to the console.")


def _ask(server: Child, path: str, cookie: str, count: int) -> Meter:
    port = int(server.ready["http_port"])
    request = (
        # A cookie is of a port.
        f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: {cookie}\r\n"
        "Accept: text/html\r\nUser-Agent: bench\r\n\r\n"
    ).encode()
    with Asker(port, 1) as asker, Meter(server.pid) as meter:
        bodies = asker.ask([request] * count)
    if not all(b"</html>" in body for body in bodies):
        raise BenchError(f"{path} is not a whole page.")
    return meter
