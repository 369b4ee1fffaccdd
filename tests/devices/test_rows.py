"""A device comes out of the database as it went in."""

import msgspec
import pytest
from sqlalchemy import insert

from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId, UserId
from cyan.devices import registry, store
from cyan.devices.model import Device

FULL = Device(
    id=DeviceId("e00fce680000000000000001"),
    registered_at_ms=1,
    name="lamp",
    notes="null",
    owner_id=UserId("a" * 24),
    claimed_at_ms=1_795_351_565_779,
    updated_at_ms=2,
    platform_id=13,
    product_id=65_535,
    product_version=7,
    system_version=6200,
    first_online_at_ms=3,
    last_handshake_at_ms=4,
    last_ip_address="2001:db8::1",
    functions=("led", 'say "hé"'),
    variables={"temperature": 9, "\\": 4},
    safe_mode=False,
    safe_mode_at_ms=5,
    imei="352753090041680",
    iccid="1",
    modem_firmware="true",
    updates_enabled=True,
    updates_forced=False,
    application_hash="0" * 64,
    max_message_bytes=1024,
    max_binary_bytes=2**31,
    ota_chunk_bytes=512,
    cc3000_patch_version="1.29",
    serial_number="P046AC123456",
    mobile_secret=b"\x00\xff sealed",
    mac_wifi="00:11:22:33:44:55",
    development=True,
    forces_updates=False,
)


def put(db: Database, device: Device) -> None:
    values = msgspec.structs.asdict(device)
    values["functions"] = msgspec.json.encode(device.functions).decode()
    values["variables"] = msgspec.json.encode(device.variables).decode()
    db.write_blocking(lambda c: c.execute(insert(store.devices_device), values))


def test_every_field_comes_back(db: Database) -> None:
    put(db, FULL)
    assert registry.find_device(db, FULL.id) == FULL


def test_what_is_not_known_stays_so(db: Database) -> None:
    bare = Device(id=FULL.id, registered_at_ms=1)
    db.write_blocking(
        lambda c: c.execute(insert(store.devices_device), {"id": bare.id, "registered_at_ms": 1})
    )
    assert registry.find_device(db, FULL.id) == bare


@pytest.mark.parametrize("text", ["null", "true", "1", "", 'a "b" \\', "\u2028 é 😀", "a\x00b\n"])
def test_any_text_stays_as_it_is(db: Database, text: str) -> None:
    device = msgspec.structs.replace(FULL, notes=text, name=text or None, functions=(text,))
    put(db, device)
    assert registry.find_device(db, FULL.id) == device
