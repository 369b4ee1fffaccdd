"""The page behind the link in the owner's letter, and the letters themselves."""

import re

import pytest

from cyan.accounts.people import People
from cyan.core.ids import DeviceId
from cyan.devices.letters import TransferLetters
from cyan.devices.transfers import Transfer
from tests.cast import Cast
from tests.devices.world import World, device_id

API = "https://cloud.example.com"


async def link_for(world: World, number: int) -> tuple[str, str]:
    """Cleo has asked for Ada's device: path and secret of the link that Ada was sent."""
    world.register(number, world.cast.ada)
    await world.client.post(
        "/v1/devices",
        headers=world.cast.cleo.headers,
        json={"id": device_id(number), "request_transfer": True},
    )
    transfer, secret = world.letters.requested[-1]
    return f"/v1/device_transfers/{transfer.id}/decision", secret


async def test_opening_the_link_asks_and_changes_nothing(world: World) -> None:
    """Programs that look at mail open every link."""
    path, secret = await link_for(world, 1)
    page = await world.client.get(path, params={"secret": secret})
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == (
        "no-store",
        "no-referrer",
    )
    assert world.cast.cleo.username in page.text
    assert device_id(1) in page.text
    assert world.owner_of(1) == world.cast.ada.user_id


@pytest.mark.parametrize("action", ["accept", "refuse"])
async def test_the_button_decides_without_a_login(world: World, action: str) -> None:
    path, secret = await link_for(world, 1)
    page = await world.client.post(path, data={"secret": secret, "action": action})
    assert page.status_code == 200
    owner = world.cast.cleo if action == "accept" else world.cast.ada
    assert world.owner_of(1) == owner.user_id
    asked_again = await world.client.get(path, params={"secret": secret})
    assert f"{action}" in asked_again.text
    assert "<form" not in asked_again.text
    twice = await world.client.post(path, data={"secret": secret, "action": "accept"})
    assert twice.status_code == 409
    assert world.owner_of(1) == owner.user_id


@pytest.mark.parametrize("secret", ["", "0" * 40, "é"])
async def test_a_wrong_secret_opens_nothing(world: World, secret: str) -> None:
    path, _ = await link_for(world, 1)
    shown = await world.client.get(path, params={"secret": secret})
    assert shown.status_code == 404
    posted = await world.client.post(path, data={"secret": secret, "action": "accept"})
    assert posted.status_code == 404
    assert world.owner_of(1) == world.cast.ada.user_id


async def test_another_requests_secret_opens_nothing(world: World) -> None:
    path, _ = await link_for(world, 1)
    _, other = await link_for(world, 2)
    shown = await world.client.get(path, params={"secret": other})
    assert shown.status_code == 404


async def test_a_form_without_an_answer_is_told_so(world: World) -> None:
    path, secret = await link_for(world, 1)
    posted = await world.client.post(path, data={"secret": secret})
    assert posted.status_code == 400
    assert world.owner_of(1) == world.cast.ada.user_id


def make_transfer(cast: Cast, state: str) -> Transfer:
    lamp = DeviceId("e00fce680000000000000001")
    return Transfer("ab" * 12, lamp, cast.ada.user_id, cast.cleo.user_id, state, 1, None)


def test_the_owners_letter_has_the_link_and_says_who_asks(people: People, cast: Cast) -> None:
    sent: list[tuple[str, str, str]] = []
    letters = TransferLetters(people, lambda *letter: sent.append(letter), API + "/")
    letters.transfer_requested(make_transfer(cast, "open"), "5ecre7")
    ((to, subject, text),) = sent
    assert to == cast.ada.username
    assert cast.cleo.username in subject
    links = re.findall(r"https?://\S+", text)
    assert links == [f"{API}/v1/device_transfers/{'ab' * 12}/decision?secret=5ecre7"]


@pytest.mark.parametrize("state", ["accepted", "refused"])
def test_who_asked_is_told_the_answer_and_not_the_owner(
    people: People, cast: Cast, state: str
) -> None:
    sent: list[tuple[str, str, str]] = []
    TransferLetters(people, lambda *letter: sent.append(letter), API).transfer_decided(
        make_transfer(cast, state)
    )
    ((to, subject, text),) = sent
    assert to == cast.cleo.username
    assert state in subject
    assert state in text
    assert cast.ada.username not in subject + text
