"""The tables of devices, claim codes and registrars, and the statements on them.

Statements are compiled once by SQLAlchemy.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from cyan.core.db.engine import Prepared
from cyan.core.db.schema import metadata
from cyan.devices import refusalstore as refusalstore  # its table is part of the schema
from cyan.devices import transferstore as transferstore  # and so is this one's
from cyan.devices.model import Device

MAX_SIM_CHARACTERS: Final = 32
MAX_MODEM_FIRMWARE_CHARACTERS: Final = 64
MAX_PATCH_VERSION_CHARACTERS: Final = 32
"""Room for IMEI (15), ICCID (19 to 21) and the version texts of a modem and of a Wi-Fi chip; a
device may say anything."""

MAX_SERIAL_CHARACTERS: Final = 32
"""Twice the longest known, like P046AD123456789 (platform-semantics.md §3.1)."""

devices_device = Table(
    "devices_device",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("name", String(64)),
    Column("notes", Text),
    Column("owner_id", String(24)),
    Column("registered_at_ms", BigInteger, nullable=False),
    Column("claimed_at_ms", BigInteger),
    Column("updated_at_ms", BigInteger),
    Column("public_key", LargeBinary),
    Column("key_fingerprint", String(64), unique=True),
    Column("key_pinned_at_ms", BigInteger),
    Column("platform_id", Integer),
    Column("product_id", Integer),
    Column("product_version", Integer),
    Column("system_version", Integer),
    Column("first_online_at_ms", BigInteger),
    Column("last_handshake_at_ms", BigInteger),
    Column("last_ip_address", String(45)),
    Column("functions", Text),
    Column("variables", Text),
    Column("system", Text),
    Column("safe_mode", Boolean),
    Column("imei", String(MAX_SIM_CHARACTERS)),
    Column("iccid", String(MAX_SIM_CHARACTERS)),
    Column("modem_firmware", String(MAX_MODEM_FIRMWARE_CHARACTERS)),
    Column("updates_enabled", Boolean),
    Column("updates_forced", Boolean),
    # When it said last, after its Hello, that it runs in safe mode.
    Column("safe_mode_at_ms", BigInteger),
    # SHA-256 of the application in its last system describe, in hex.
    Column("application_hash", String(64)),
    Column("max_message_bytes", Integer),
    Column("max_binary_bytes", BigInteger),
    Column("ota_chunk_bytes", Integer),
    Column("cc3000_patch_version", String(MAX_PATCH_VERSION_CHARACTERS)),
    # From the operator's list of labels. What opens the set-up over Bluetooth is sealed.
    Column("serial_number", String(MAX_SERIAL_CHARACTERS)),
    Column("mobile_secret", LargeBinary),
    Column("mac_wifi", String(17)),
    # What its owner wants of it; None: said nothing.
    Column("development", Boolean),
    Column("forces_updates", Boolean),
    # A name is unique within an account; rows without owner or name do not collide.
    Index("uq_devices_device_owner_id_name", "owner_id", "name", unique=True),
    Index("uq_devices_device_serial_number", "serial_number", unique=True),
)

devices_registrar = Table(
    "devices_registrar",
    metadata,
    # An account that may make new devices known, as the operator may.
    Column("user_id", String(24), primary_key=True),
    Column("granted_at_ms", BigInteger, nullable=False),
)

devices_claim_code = Table(
    "devices_claim_code",
    metadata,
    # SHA-256 of the code in hex: who reads the database can claim nothing with it.
    Column("code_hash", String(64), primary_key=True),
    Column("owner_id", String(24), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("used_at_ms", BigInteger),
    Column("device_id", String(24)),
    Index(None, "created_at_ms"),
    Index(None, "owner_id"),
)

_c = devices_device.c


def whole_device(table: str = "devices_device") -> tuple[str, str]:
    """What a SELECT has for `to_device`: a JSON array of the fields, and the one that is bytes.

    A column costs the driver as much as reading all of them costs SQLite.
    """
    columns = {name: f"{table}.{name}" for name in Device.__struct_fields__}
    secret = columns["mobile_secret"]
    columns |= {
        "functions": f"json(ifnull({table}.functions, '[]'))",
        "variables": f"json(ifnull({table}.variables, '{{}}'))",
        "mobile_secret": "NULL",
    }
    return f"json_array({', '.join(columns.values())})", secret


_whole: Final = select(literal_column(whole_device()[0]), _c.mobile_secret)

DEVICE_OF_OWNER: Final = Prepared(
    _whole.where(_c.id == bindparam("id"), _c.owner_id == bindparam("owner_id"))
)
"""For nearly every request."""
DEVICE: Final = _whole.where(_c.id == bindparam("id"))
DEVICE_OF_OWNER_BY_NAME: Final = _whole.where(
    _c.owner_id == bindparam("owner_id"), _c.name == bindparam("name")
)
ID_OF_NAME: Final = select(_c.id).where(
    _c.owner_id == bindparam("owner_id"), _c.name == bindparam("name")
)
DEVICES_OF_OWNER: Final = _whole.where(_c.owner_id == bindparam("owner_id"))
LISTED_OF_OWNER: Final = Prepared(
    select(_c.id, _c.name, _c.serial_number, _c.product_version, _c.last_handshake_at_ms).where(
        _c.owner_id == bindparam("owner_id")
    )
)
SOME_OF_OWNER: Final = Prepared(
    _whole.where(
        literal_column("+devices_device.owner_id") == bindparam("owner_id"),
        _c.id.in_(select(func.json_each(bindparam("ids")).table_valued("value").c.value)),
    )
)
"""`ids` is a JSON array, so that one statement serves any number of them. The sign keeps SQLite
from walking through all devices of the owner."""
ALL_DEVICES: Final = _whole.order_by(_c.id)
OWNERS: Final = select(_c.id, _c.owner_id).where(_c.owner_id.is_not(None))
OWNER: Final = select(_c.owner_id).where(_c.id == bindparam("id"))
OWNER_QUICKLY: Final = Prepared(OWNER)
"""For every Hello."""
OWNER_AND_NAME: Final = select(_c.owner_id, _c.name).where(_c.id == bindparam("id"))
COUNT_OF_OWNER: Final = (
    select(func.count()).select_from(devices_device).where(_c.owner_id == bindparam("owner_id"))
)
NAMES_OF_OWNER: Final = select(_c.name).where(
    _c.owner_id == bindparam("owner_id"), _c.name.is_not(None)
)
DESCRIBED: Final = select(_c.functions, _c.variables).where(_c.id == bindparam("id"))
SYSTEM_DESCRIBE: Final = select(_c.system).where(_c.id == bindparam("id"))
APPLICATION_HASH: Final = Prepared(select(_c.application_hash).where(_c.id == bindparam("id")))
"""For every system describe."""
NAME: Final = select(_c.name).where(_c.id == bindparam("id"))
KEY_QUICKLY: Final = Prepared(select(_c.public_key).where(_c.id == bindparam("id")))
"""For every Hello."""
CONNECTED_WITH_KEY_OF: Final = (
    select(_c.id)
    .where(_c.first_online_at_ms.is_not(None))
    .where(func.length(_c.public_key) == bindparam("size"))
    .limit(1)
)
KEY: Final = select(_c.public_key, _c.key_fingerprint, _c.key_pinned_at_ms).where(
    _c.id == bindparam("id")
)
HOLDER_OF_KEY: Final = select(_c.id).where(_c.key_fingerprint == bindparam("key_fingerprint"))

ADD: Final = insert(devices_device).values(
    {
        name: bindparam(name)
        for name in (
            "id",
            "name",
            "owner_id",
            "registered_at_ms",
            "claimed_at_ms",
        )
    }
)
PIN_KEY: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"), _c.public_key.is_(None))
    .values(
        public_key=bindparam("public_key"),
        key_fingerprint=bindparam("key_fingerprint"),
        key_pinned_at_ms=bindparam("key_pinned_at_ms"),
    )
)
FORGET_KEY: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"))
    .values(public_key=None, key_fingerprint=None, key_pinned_at_ms=None)
)
CLAIM: Final = (
    update(devices_device)
    .where(
        _c.id == bindparam("device_id"),
        _c.owner_id.is_not_distinct_from(bindparam("for_owner_id", type_=String)),
    )
    .values(
        owner_id=bindparam("new_owner_id"),
        name=bindparam("name"),
        notes=None,
        development=None,
        forces_updates=None,
        claimed_at_ms=bindparam("at_ms"),
        updated_at_ms=bindparam("at_ms"),
    )
)
RELEASE: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"), _c.owner_id == bindparam("for_owner_id"))
    .values(
        owner_id=None,
        name=None,
        notes=None,
        development=None,
        forces_updates=None,
        claimed_at_ms=None,
        updated_at_ms=bindparam("at_ms"),
    )
)
RENAME: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"), _c.owner_id == bindparam("for_owner_id"))
    .values(name=bindparam("name"), updated_at_ms=bindparam("at_ms"))
)
SET_NOTES: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"), _c.owner_id == bindparam("for_owner_id"))
    .values(notes=bindparam("notes"), updated_at_ms=bindparam("at_ms"))
)
SET_DEVELOPMENT: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"), _c.owner_id == bindparam("for_owner_id"))
    .values(development=bindparam("value"), updated_at_ms=bindparam("at_ms"))
)
SET_FORCES_UPDATES: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"), _c.owner_id == bindparam("for_owner_id"))
    .values(forces_updates=bindparam("value"), updated_at_ms=bindparam("at_ms"))
)
FORCES_UPDATES: Final = Prepared(select(_c.forces_updates).where(_c.id == bindparam("id")))
"""For every device that comes online."""
REPLACE_KEY: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"))
    .values(
        public_key=bindparam("public_key"),
        key_fingerprint=bindparam("key_fingerprint"),
        key_pinned_at_ms=bindparam("key_pinned_at_ms"),
    )
)
SET_PLATFORM: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"))
    .values(platform_id=bindparam("platform_id"))
)
SET_LABEL: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"))
    .values(
        serial_number=func.coalesce(bindparam("serial", type_=String), _c.serial_number),
        mobile_secret=func.coalesce(bindparam("secret", type_=LargeBinary), _c.mobile_secret),
        mac_wifi=func.coalesce(bindparam("mac", type_=String), _c.mac_wifi),
        imei=func.coalesce(bindparam("new_imei", type_=String), _c.imei),
        iccid=func.coalesce(bindparam("new_iccid", type_=String), _c.iccid),
        platform_id=func.coalesce(bindparam("platform", type_=Integer), _c.platform_id),
    )
)
DEVICE_OF_SERIAL: Final = _whole.where(_c.serial_number == bindparam("serial_number"))
SEARCH: Final = (
    _whole.where(
        _c.owner_id == bindparam("owner_id"),
        or_(
            *(
                column.startswith(bindparam("prefix"), autoescape=False, escape="!")
                for column in (_c.id, _c.name, _c.serial_number, _c.iccid, _c.imei)
            )
        ),
    )
    .order_by(_c.name, _c.id)
    .limit(bindparam("page"))
)
"""`prefix` has !, % and _ escaped by !. Letters of ASCII match in any case (SQLite's LIKE)."""
HELLO: Final = Prepared(
    update(devices_device)
    .where(_c.id == bindparam("device_id"))
    .values(
        platform_id=bindparam("platform_id"),
        product_id=bindparam("product_id"),
        product_version=bindparam("product_version"),
        # Firmware before 3.0 tells it in its describe alone, which comes soon after.
        system_version=func.coalesce(
            bindparam("system_version"),
            case((_c.system_version < bindparam("first_with_version"), _c.system_version)),
        ),
        # Written once and never again (platform-semantics.md §2.4).
        first_online_at_ms=func.coalesce(_c.first_online_at_ms, bindparam("at_ms")),
        last_handshake_at_ms=bindparam("at_ms"),
        last_ip_address=bindparam("ip_address"),
        max_message_bytes=bindparam("max_message_bytes"),
        # Older firmware tells these two in events, if at all.
        max_binary_bytes=func.coalesce(bindparam("max_binary_bytes"), _c.max_binary_bytes),
        ota_chunk_bytes=func.coalesce(bindparam("ota_chunk_bytes"), _c.ota_chunk_bytes),
        safe_mode_at_ms=null(),
    )
)
APPLICATION: Final = Prepared(
    update(devices_device)
    .where(_c.id == bindparam("device_id"))
    .values(
        functions=bindparam("functions"),
        variables=bindparam("variables"),
        # In safe mode there are none.
        safe_mode_at_ms=case((~bindparam("has_any", type_=Boolean), _c.safe_mode_at_ms)),
    )
)
"""For every application describe."""
SAFE_MODE: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"))
    .values(safe_mode_at_ms=bindparam("at_ms"))
)
NO_SAFE_MODE: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"), _c.safe_mode_at_ms < bindparam("before_ms"))
    .values(safe_mode_at_ms=null())
)
TRANSFER_LIMITS: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"))
    .values(
        max_binary_bytes=func.coalesce(
            bindparam("max_binary", type_=BigInteger), _c.max_binary_bytes
        ),
        ota_chunk_bytes=func.coalesce(bindparam("ota_chunk", type_=Integer), _c.ota_chunk_bytes),
    )
)
PATCH_VERSION: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"))
    .values(cc3000_patch_version=bindparam("patch_version"))
)
SYSTEM: Final = Prepared(
    update(devices_device)
    .where(_c.id == bindparam("device_id"))
    .values(
        system=bindparam("system"),
        safe_mode=bindparam("safe_mode"),
        application_hash=bindparam("application_hash"),
        system_version=func.coalesce(bindparam("system_version"), _c.system_version),
        # What it does not say stays as it was imported.
        imei=func.coalesce(bindparam("imei", type_=String), _c.imei),
        iccid=func.coalesce(bindparam("iccid", type_=String), _c.iccid),
        modem_firmware=bindparam("modem_firmware"),
    )
)
"""For every system describe."""
UPDATES: Final = (
    update(devices_device)
    .where(_c.id == bindparam("device_id"))
    .values(
        updates_enabled=func.coalesce(bindparam("enabled", type_=Boolean), _c.updates_enabled),
        updates_forced=func.coalesce(bindparam("forced", type_=Boolean), _c.updates_forced),
    )
)

_code = devices_claim_code.c
ADD_CLAIM_CODE: Final = insert(devices_claim_code).values(
    code_hash=bindparam("code_hash"),
    owner_id=bindparam("owner_id"),
    created_at_ms=bindparam("created_at_ms"),
)
CLAIM_CODE: Final = select(devices_claim_code).where(_code.code_hash == bindparam("code_hash"))
USE_CLAIM_CODE: Final = (
    update(devices_claim_code)
    .where(_code.code_hash == bindparam("of_code_hash"), _code.used_at_ms.is_(None))
    .values(used_at_ms=bindparam("at_ms"), device_id=bindparam("by_device_id"))
)
COUNT_OF_CLAIM_CODES: Final = (
    select(func.count())
    .select_from(devices_claim_code)
    .where(
        _code.owner_id == bindparam("owner_id"),
        _code.created_at_ms > bindparam("after_ms"),
        _code.used_at_ms.is_(None),
    )
)
FORGET_CLAIM_CODES: Final = delete(devices_claim_code).where(
    _code.created_at_ms < bindparam("before_ms")
)

_registrar = devices_registrar.c
REGISTRAR: Final = select(_registrar.user_id).where(_registrar.user_id == bindparam("user_id"))
ADD_REGISTRAR: Final = (
    upsert(devices_registrar)
    .values(user_id=bindparam("user_id"), granted_at_ms=bindparam("at_ms"))
    .on_conflict_do_nothing()
)
REMOVE_REGISTRAR: Final = delete(devices_registrar).where(
    _registrar.user_id == bindparam("of_user_id")
)

_functions_decoder = msgspec.json.Decoder(tuple[str, ...])
_variables_decoder = msgspec.json.Decoder(dict[str, int])
_device_decoder = msgspec.json.Decoder(Device, strict=False)  # SQLite's booleans are 0 and 1
_system_decoder = msgspec.json.Decoder(dict[str, object])


def read_functions(text: str | None) -> tuple[str, ...]:
    return _functions_decoder.decode(text) if text else ()


def read_variables(text: str | None) -> dict[str, int]:
    return _variables_decoder.decode(text) if text else {}


def read_system(text: str | None) -> dict[str, object]:
    return _system_decoder.decode(text) if text else {}


def to_device(row: Sequence[Any]) -> Device:
    """A row of one of the statements that select whole devices."""
    fields, mobile_secret = row
    device = _device_decoder.decode(fields)
    if mobile_secret is not None:
        device = msgspec.structs.replace(device, mobile_secret=mobile_secret)
    return device
