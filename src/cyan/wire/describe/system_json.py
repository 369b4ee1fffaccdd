"""Describes as JSON (device-protocol.md sections 3.3.2 and 3.3.3), both parts in one object."""

from typing import Annotated, Final

import msgspec

from cyan.wire.describe.application import ApplicationDescribe, check_application
from cyan.wire.describe.system import (
    FUNCTION_LETTERS,
    HASH_BYTES,
    MAX_DEPENDENCIES,
    MAX_MODULES,
    MAX_TEXT,
    OTHER_LETTER,
    SETTINGS,
    STORE_LETTERS,
    Module,
    ModuleDependency,
    SystemDescribe,
)
from cyan.wire.errors import MalformedError

_U32 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
_Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class _JsonDependency(msgspec.Struct):
    f: _Text = OTHER_LETTER
    n: _U32 = 0
    v: _U32 = 0


class _JsonModule(msgspec.Struct):
    f: _Text = OTHER_LETTER
    n: _U32 = 0
    v: _U32 = 0
    l: _Text = "m"  # noqa: E741 - firmware's word
    s: _U32 = 0
    vc: _U32 = 0
    vv: _U32 = 0
    u: Annotated[str, msgspec.Meta(max_length=2 * HASH_BYTES)] | None = None
    d: Annotated[list[_JsonDependency], msgspec.Meta(max_length=MAX_DEPENDENCIES)] = []


class _JsonDescribe(msgspec.Struct):
    f: list[str] | None = None
    v: dict[str, _U32] | None = None
    p: _U32 | None = None
    m: Annotated[list[_JsonModule], msgspec.Meta(max_length=MAX_MODULES)] | None = None
    imei: _Text | None = None
    iccid: _Text | None = None
    cellfw: _Text | None = None


# Not strict: an index is a string of digits there.
_DECODER: Final = msgspec.json.Decoder(_JsonDescribe, strict=False)


def decode_json(data: bytes) -> tuple[SystemDescribe | None, ApplicationDescribe | None]:
    """Reads either part or both, as many as are there; unknown keys are ignored."""
    try:
        found = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedError(f"describe of {len(data)} bytes that is not its JSON") from None
    system = application = None
    if found.p is not None or found.m is not None:
        system = SystemDescribe(
            modules=tuple(_module(module) for module in found.m or ()),
            platform_id=found.p,
            imei=found.imei,
            iccid=found.iccid,
            modem_firmware_version=found.cellfw,
        )
    if found.f is not None or found.v is not None:
        application = check_application(
            ApplicationDescribe(tuple(found.f or ()), found.v or {}),
        )
    return system, application


def encode_system_json(describe: SystemDescribe, platform_id: int | None = None) -> bytes:
    """The JSON form without spaces, as firmware before 5.5 writes it."""
    return msgspec.json.encode(describe.to_json(platform_id))


def _module(module: _JsonModule) -> Module:
    try:
        hash_ = bytes.fromhex(module.u) if module.u else None
    except ValueError:
        raise MalformedError("describe with a hash that is not hex") from None
    return Module(
        function=_from_letter(FUNCTION_LETTERS, module.f, SETTINGS),
        index=module.n,
        version=module.v,
        store=_from_letter(STORE_LETTERS, module.l, 0),
        max_size=module.s,
        checked=module.vc,
        passed=module.vv,
        hash=hash_,
        dependencies=tuple(
            ModuleDependency(_from_letter(FUNCTION_LETTERS, d.f, SETTINGS), d.n, d.v)
            for d in module.d
        ),
    )


def _from_letter(letters: str, letter: str, other: int) -> int:
    found = letters.find(letter) if len(letter) == 1 else -1
    return found if found >= 0 else other
