"""The product of a device that is in no product: its platform."""

import json

import pytest

from cyan.devices.model import KNOWN_PLATFORMS
from cyan.devices.platformproducts import NAMES
from tests.devices.world import World


async def test_the_product_id_of_a_device_leads_to_a_product(world: World) -> None:
    world.register(1, world.cast.ada)
    world.connect(1)
    headers = world.cast.ada.headers
    (device,) = (await world.client.get("/v1/devices", headers=headers)).json()
    answer = await world.client.get(f"/v1/products/{device['product_id']}", headers=headers)
    assert answer.status_code == 200
    product = answer.json()["product"]
    assert product["id"] == product["platform_id"] == device["platform_id"]
    assert product["name"] == NAMES[device["platform_id"]]


async def test_so_does_that_of_a_device_whose_platform_is_not_known(world: World) -> None:
    world.register(1, world.cast.ada)
    headers = world.cast.ada.headers
    (device,) = (await world.client.get("/v1/devices", headers=headers)).json()
    written = json.dumps(device["product_id"])
    answer = await world.client.get(f"/v1/products/{written}", headers=headers)
    assert answer.status_code == 200
    product = answer.json()["product"]
    assert (product["id"], product["platform_id"], product["slug"]) == (None, None, None)


def test_every_platform_has_a_name() -> None:
    assert NAMES.keys() == KNOWN_PLATFORMS


@pytest.mark.parametrize("number", ["1234", "my-product", "undefined", "1", "-1", "\u00b2", "012"])
async def test_other_products_are_not_built(world: World, number: str) -> None:
    headers = world.cast.ada.headers
    answer = await world.client.get(f"/v1/products/{number}", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (501, "not_implemented")
