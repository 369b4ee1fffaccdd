"""A web server before the real server: limits hold for the clients behind it, each by itself."""

from pathlib import Path

import httpx

from tests.system.processes import Server, serving

FEW = 3
LIMITS = {"CYAN_RATE_LIMIT_SENSITIVE": str(FEW)}


def _log_in_from(server: Server, address: str) -> int:
    """The status of a login as the proxy on this machine sends it on."""
    return httpx.post(
        f"{server.api_url}/oauth/token",
        data={"grant_type": "password", "username": "nobody@example.com", "password": "wrong"},
        auth=("particle-cli", "particle-cli"),
        headers={"X-Forwarded-For": address, "X-Forwarded-Proto": "https"},
        timeout=60,
    ).status_code


def test_who_asks_too_often_does_not_keep_out_others_behind_the_same_proxy(tmp_path: Path) -> None:
    with serving(tmp_path / "data", LIMITS) as server:
        first = [_log_in_from(server, "198.51.100.7") for _ in range(FEW + 1)]
        assert first == [400] * FEW + [429]
        assert _log_in_from(server, "198.51.100.8") == 400
        # What the client wrote itself, before the proxy added its address, gets round nothing.
        assert _log_in_from(server, "203.0.113.1, 198.51.100.7") == 429


def test_nobody_gets_a_new_address_by_writing_one(tmp_path: Path) -> None:
    with serving(tmp_path / "data", {**LIMITS, "CYAN_TRUSTED_PROXIES": "192.0.2.1"}) as server:
        statuses = [_log_in_from(server, f"198.51.100.{number}") for number in range(FEW + 1)]
        assert statuses == [400] * FEW + [429]


def test_who_is_only_said_to_be_this_machine_is_not_spared(tmp_path: Path) -> None:
    public = "https://cloud.example.com"
    settings = {**LIMITS, "CYAN_LIMIT_LOOPBACK": "no", "CYAN_PUBLIC_URL": f"{public}/"}
    with serving(tmp_path / "data", settings) as server:
        statuses = [_log_in_from(server, "127.0.0.1") for _ in range(FEW + 1)]
        assert statuses == [400] * FEW + [429]
        file = httpx.get(f"{server.api_url}/openapi.json", timeout=60).json()
        assert file["servers"] == [{"url": public}]
