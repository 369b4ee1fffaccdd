"""POST /v1/provisioning/:id and POST /v1/devices without an id: who may, and what it does."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cyan.audit.store import list_entries
from cyan.devices import registry
from cyan.devices.keys import OPEN
from cyan.devices.model import DeviceKeyChanged
from cyan.devices.provisioning import Provisioning, grant_registrar, revoke_registrar
from cyan.rest.auth import Caller
from tests.cast import Person
from tests.devices.world import BORON, PERMISSION_DENIED, World, device_id

PUBLIC = [generate_private_key(SECP256R1()).public_key() for _ in range(3)]
PEM = [key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode() for key in PUBLIC]
DER = [key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for key in PUBLIC]


async def send_key(world: World, person: Person, number: int, pem: str) -> tuple[int, object]:
    """As api-js does it."""
    answer = await world.client.post(
        f"/v1/provisioning/{device_id(number)}",
        headers=person.headers,
        json={
            "deviceID": device_id(number),
            "publicKey": pem,
            "filename": "particle-api",
            "order": "manual_1700000000000",
            "algorithm": "ecc",
        },
    )
    return answer.status_code, answer.json()


def key_of(world: World, number: int) -> bytes | None:
    found = registry.show_key(world.db, device_id(number))
    return None if found is None else found.public_key


async def test_the_owner_replaces_the_key_of_a_device(world: World) -> None:
    world.register(1, world.cast.ada)
    assert await send_key(world, world.cast.ada, 1, PEM[0]) == (200, "Success!")
    assert key_of(world, 1) == DER[0]
    assert await send_key(world, world.cast.ada, 1, PEM[1]) == (200, "Success!")
    assert key_of(world, 1) == DER[1]
    assert world.rekeyed == [DeviceKeyChanged(device_id(1))] * 2
    entries = list_entries(world.db, subject=f"device:{device_id(1)}")[:2]
    assert [(entry.action, entry.actor) for entry in entries] == [
        ("device.key_replaced", f"user:{world.cast.ada.user_id}"),
        ("device.key_pinned", f"user:{world.cast.ada.user_id}"),
    ]


async def test_the_form_of_the_cli_works_too_with_a_key_of_old_boards(world: World) -> None:
    world.register(1, world.cast.ada)
    key = generate_rsa(65537, 1024).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    answer = await world.client.post(
        f"/v1/provisioning/{device_id(1).upper()}",
        headers=world.cast.ada.headers,
        data={"deviceID": device_id(1), "publicKey": pem, "filename": "cli", "algorithm": "rsa"},
    )
    assert answer.status_code == 200
    assert key_of(world, 1) == key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


async def test_the_same_key_again_changes_nothing(world: World) -> None:
    world.register(1, world.cast.ada)
    await send_key(world, world.cast.ada, 1, PEM[0])
    before = list_entries(world.db)
    assert await send_key(world, world.cast.ada, 1, PEM[0]) == (200, "Success!")
    assert list_entries(world.db) == before
    assert len(world.rekeyed) == 1


@pytest.mark.parametrize("whose", ["stranger's", "nobody's", "unknown"])
async def test_no_person_sets_the_key_of_what_is_not_theirs(world: World, whose: str) -> None:
    """Alike for all three: nobody learns which ids there are."""
    if whose != "unknown":
        world.register(1, world.cast.ada if whose == "stranger's" else None)
    assert await send_key(world, world.cast.cleo, 1, PEM[0]) == (403, PERMISSION_DENIED)
    if whose == "unknown":
        assert registry.find_device(world.db, device_id(1)) is None
    else:
        assert key_of(world, 1) is None


async def test_a_registrar_makes_a_device_known_with_its_key(world: World) -> None:
    cleo = world.cast.cleo
    grant_registrar(world.db, world.clock, cleo.user_id)
    grant_registrar(world.db, world.clock, cleo.user_id)
    assert await send_key(world, cleo, 1, PEM[0]) == (200, "Success!")
    assert world.owner_of(1) is None
    assert key_of(world, 1) == DER[0]
    revoke_registrar(world.db, world.clock, cleo.user_id)
    assert (await send_key(world, cleo, 2, PEM[1]))[0] == 403
    actions = [entry.action for entry in list_entries(world.db, actor="operator")]
    assert actions[0] == "registrar.revoked"
    assert actions.count("registrar.granted") == 2


async def test_a_registrar_gives_a_first_key_and_changes_none(world: World) -> None:
    """A pinned key changes only by its owner or the operator."""
    cleo = world.cast.cleo
    grant_registrar(world.db, world.clock, cleo.user_id)
    world.register(1)
    assert (await send_key(world, cleo, 1, PEM[0]))[0] == 200
    assert (await send_key(world, cleo, 1, PEM[1]))[0] == 403
    world.register(2, world.cast.ada)
    assert (await send_key(world, cleo, 2, PEM[1]))[0] == 403
    assert (key_of(world, 1), key_of(world, 2)) == (DER[0], None)


async def test_the_operator_sets_any_key(world: World) -> None:
    world.register(1, world.cast.ada)
    await send_key(world, world.cast.ada, 1, PEM[0])
    assert (await send_key(world, world.cast.operator, 1, PEM[1]))[0] == 200
    assert (await send_key(world, world.cast.operator, 2, PEM[2]))[0] == 200
    assert (key_of(world, 1), key_of(world, 2)) == (DER[1], DER[2])


async def test_a_key_belongs_to_one_device(world: World) -> None:
    world.register(1, world.cast.ada)
    world.register(2, world.cast.ada)
    await send_key(world, world.cast.ada, 1, PEM[0])
    await send_key(world, world.cast.ada, 2, PEM[1])
    status, body = await send_key(world, world.cast.ada, 2, PEM[0])
    assert status == 409
    assert isinstance(body, dict)
    assert body["error_description"] == "That key belongs to another device."
    assert key_of(world, 2) == DER[1]


@pytest.mark.parametrize("pem", ["", "no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n", 7, None])
async def test_what_is_no_key_is_refused(world: World, pem: object) -> None:
    world.register(1, world.cast.ada)
    answer = await world.client.post(
        f"/v1/provisioning/{device_id(1)}",
        headers=world.cast.ada.headers,
        json={"publicKey": pem},
    )
    assert answer.status_code == 400
    assert "key" in answer.json()["error_description"]


async def test_two_devices_in_one_request_are_a_mistake(world: World) -> None:
    world.register(1, world.cast.ada)
    world.register(2, world.cast.ada)
    answer = await world.client.post(
        f"/v1/provisioning/{device_id(1)}",
        headers=world.cast.ada.headers,
        json={"publicKey": PEM[0], "deviceID": device_id(2)},
    )
    assert answer.status_code == 400
    assert key_of(world, 1) is None


def key_form(number: int, product_id: object) -> dict[str, str]:
    """As particle-cli sends it for `keys send --product_id`."""
    return {
        "deviceID": device_id(number),
        "publicKey": PEM[0],
        "filename": "cli",
        "order": "manual_1700000000000",
        "algorithm": "ecc",
        "product_id": str(product_id),
    }


async def test_a_device_that_a_key_makes_known_is_of_the_platform_that_came_with_it(
    world: World,
) -> None:
    answer = await world.client.post(
        f"/v1/provisioning/{device_id(1)}",
        headers=world.cast.operator.headers,
        data=key_form(1, BORON),
    )
    assert (answer.status_code, answer.json()) == (200, "Success!")
    assert (world.stored(1).platform_id, key_of(world, 1)) == (BORON, DER[0])


async def test_a_device_that_is_known_keeps_its_platform(world: World) -> None:
    world.register(1, world.cast.ada)
    world.connect(1, platform_id=BORON)
    answer = await world.client.post(
        f"/v1/provisioning/{device_id(1)}", headers=world.cast.ada.headers, data=key_form(1, 32)
    )
    assert answer.status_code == 200
    assert world.stored(1).platform_id == BORON


@pytest.mark.parametrize("product", [12345, "my-product", "013", -1, "9" * 30])
async def test_a_key_for_a_product_is_refused_and_nothing_is_done(
    world: World, product: object
) -> None:
    answer = await world.client.post(
        f"/v1/provisioning/{device_id(1)}",
        headers=world.cast.operator.headers,
        data=key_form(1, product),
    )
    assert answer.status_code == 400
    assert "this server has no products yet" in answer.json()["error_description"]
    assert registry.list_devices(world.db) == []


@pytest.mark.parametrize("product", [None, ""])
async def test_a_product_that_is_null_or_empty_is_none(world: World, product: str | None) -> None:
    answer = await world.client.post(
        f"/v1/provisioning/{device_id(1)}",
        headers=world.cast.operator.headers,
        json={"publicKey": PEM[0], "product_id": product},
    )
    assert answer.status_code == 200
    assert world.stored(1).platform_id is None


async def test_a_registrar_gets_a_device_with_an_id_of_ours(world: World) -> None:
    ada = world.cast.ada
    grant_registrar(world.db, world.clock, ada.user_id)
    answer = await world.client.post("/v1/devices", headers=ada.headers, json={"product_id": BORON})
    assert answer.status_code == 200
    made = answer.json()
    assert (made["platform_id"], made["owner"], made["online"]) == (BORON, ada.username, False)
    shown = await world.client.get(f"/v1/devices/{made['id']}", headers=ada.headers)
    assert shown.json() == made


async def test_no_other_gets_one(world: World) -> None:
    answer = await world.client.post(
        "/v1/devices", headers=world.cast.cleo.headers, data={"product_id": str(BORON)}
    )
    assert answer.status_code == 403
    assert "operator" in answer.json()["errors"][0]
    assert registry.list_devices(world.db) == []


@pytest.mark.parametrize("platform", [7, "7x", -1, None, "9" * 30])
async def test_an_unknown_platform_is_refused(world: World, platform: object) -> None:
    answer = await world.client.post(
        "/v1/devices", headers=world.cast.operator.headers, json={"product_id": platform}
    )
    assert answer.status_code == 400
    assert "platform" in answer.json()["error_description"]


def test_while_enrolment_is_open_everybody_is_a_registrar(world: World) -> None:
    cleo = Caller(world.cast.cleo.user_id, world.cast.cleo.username, "t", "c", None)
    opened = Provisioning(world.db, world.clock, world.bus, world.ownership, OPEN)
    assert opened.is_registrar(cleo)
