"""Memory for bodies on their way has an end, for an address and for all."""

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from cyan.rest import arriving, body
from cyan.rest.arriving import FREE_BYTES, ArrivingBodies
from cyan.rest.errors import ApiError

LIMIT = 10 * FREE_BYTES


class Sender:
    """A client that sends pieces when it is told to."""

    def __init__(self, host: str) -> None:
        self._pieces: asyncio.Queue[Message] = asyncio.Queue()
        scope = {"type": "http", "method": "PUT", "headers": [], "client": (host, 1)}
        self.reading = asyncio.create_task(body.read_bytes(Request(scope, self._receive), LIMIT))

    async def _receive(self) -> Message:
        return await self._pieces.get()

    async def send(self, size: int, *, more: bool = True) -> None:
        self._pieces.put_nowait({"type": "http.request", "body": bytes(size), "more_body": more})
        for _ in range(5):
            await asyncio.sleep(0)

    async def refusal(self) -> ApiError:
        with pytest.raises(ApiError) as refused:
            await self.reading
        return refused.value


@pytest.fixture(autouse=True)
def bodies(monkeypatch: pytest.MonkeyPatch) -> ArrivingBodies:
    """Room for three bodies of one part beyond what is free, for two of an address."""
    small = ArrivingBodies(most=3 * FREE_BYTES, most_of_address=2 * FREE_BYTES)
    monkeypatch.setattr(arriving, "ALL", small)
    return small


async def end(*senders: Sender) -> list[int]:
    """Complete the bodies; their sizes."""
    for sender in senders:
        await sender.send(0, more=False)
    return [len(await sender.reading) for sender in senders]


async def test_bodies_of_ordinary_size_are_not_counted() -> None:
    senders = [Sender("192.0.2.1") for _ in range(20)]
    for sender in senders:
        await sender.send(FREE_BYTES // 2)
        await sender.send(FREE_BYTES // 2)
    assert await end(*senders) == [FREE_BYTES] * 20


async def test_an_address_has_its_share_and_leaves_the_rest_to_others() -> None:
    hog = [Sender("192.0.2.1") for _ in range(2)]
    for sender in hog:
        await sender.send(2 * FREE_BYTES)
    third = Sender("192.0.2.1")
    await third.send(2 * FREE_BYTES)
    refused = await third.refusal()
    assert (refused.status, refused.body["error"]) == (429, "too_many_requests")
    assert "retry-after" in refused.headers
    other = Sender("192.0.2.2")
    await other.send(2 * FREE_BYTES)
    assert await end(other, *hog) == [2 * FREE_BYTES] * 3


async def test_an_address_of_ipv6_is_a_network() -> None:
    senders = [Sender(f"2001:db8::{number}") for number in range(1, 4)]
    for sender in senders:
        await sender.send(2 * FREE_BYTES)
    assert (await senders[2].refusal()).status == 429
    await end(*senders[:2])


async def test_all_addresses_together_have_an_end_too() -> None:
    senders = [Sender(f"192.0.2.{number}") for number in range(1, 5)]
    for sender in senders:
        await sender.send(2 * FREE_BYTES)
    refused = await senders[3].refusal()
    assert (refused.status, refused.body["error"]) == (503, "busy")
    assert "retry-after" in refused.headers
    assert await end(*senders[:3]) == [2 * FREE_BYTES] * 3


async def test_there_is_room_again_when_bodies_are_complete_refused_or_given_up() -> None:
    for _ in range(3):
        complete, given_up, refused = (Sender("192.0.2.1") for _ in range(3))
        await complete.send(2 * FREE_BYTES)
        await given_up.send(2 * FREE_BYTES)
        await refused.send(2 * FREE_BYTES)
        assert (await refused.refusal()).status == 429
        assert await end(complete) == [2 * FREE_BYTES]
        given_up.reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up.reading
