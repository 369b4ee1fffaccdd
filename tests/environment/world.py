"""What the tests of environment variables say again and again."""

from typing import Any

import httpx

LAMP = "e00fce680000000000000001"
ACCOUNT = "/v1/env"
DEVICE = f"/v1/env/{LAMP}"
NOTHING: dict[str, object] = {"own": {}, "inherited": {}, "rollout_at": None, "rollout_by": None}
"""The snapshot where there never was a variable."""


async def change(client: httpx.AsyncClient, base: str, **values: str | None) -> httpx.Response:
    """Set variables; None takes one away."""
    ops = [
        {"op": "Unset", "key": key} if value is None else {"op": "Set", "key": key, "value": value}
        for key, value in values.items()
    ]
    return await client.patch(base, json={"ops": ops})


async def roll_out(client: httpx.AsyncClient, base: str, when: str = "Immediate") -> None:
    answer = await client.post(f"{base}/rollout", json={"when": when})
    assert (answer.status_code, answer.json()) == (200, {"success": True})


async def get(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200
    return answer.json()
