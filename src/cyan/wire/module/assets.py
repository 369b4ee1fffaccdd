"""Asset modules: how a file that an application needs travels to the device (device-protocol.md
sections 5.5, 7.5)."""

from hashlib import sha256
from typing import Final

from cyan.wire.describe.system import ASSET
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.module import extensions as ext
from cyan.wire.module.compression import compress_module, decompress_module
from cyan.wire.module.extensions import name_of
from cyan.wire.module.reading import parse_module
from cyan.wire.module.values import DROP_MODULE_INFO, Module
from cyan.wire.module.writing import encode_module

MAX_ASSET_BYTES: Final = 2 * 1024 * 1024
"""The largest asset store of any board, in which one asset can be no larger (section 5.5)."""


def encode_asset(name: str, data: bytes | memoryview, *, compress: bool = True) -> bytes:
    """The module of an asset; compressed unless that makes it longer.

    Raises MisuseError for a name that is empty or too long, or too much data.
    """
    if len(data) > MAX_ASSET_BYTES:
        raise MisuseError(f"An asset has at most {MAX_ASSET_BYTES} bytes, not {len(data)}.")
    made = encode_module(
        data,
        platform_id=0,
        function=ASSET,
        index=0,
        flags=DROP_MODULE_INFO,
        suffix_extensions=(ext.hash_of(sha256(data).digest()), name_of(name)),
    )
    if not compress:
        return made
    compressed = compress_module(made)
    return compressed if len(compressed) < len(made) else made


def decode_asset(data: bytes | memoryview) -> tuple[str, bytes]:
    """Name and raw data of an asset module, its hash checked. Raises MalformedError."""
    module = parse_module(data)
    if module.function != ASSET:
        raise MalformedError(f"module function: {module.function}, and an asset has {ASSET}")
    if module.is_compressed:
        module = parse_module(decompress_module(data))
    content = bytes(module.body)
    if len(content) > MAX_ASSET_BYTES:
        raise MalformedError(
            f"asset: {len(content)} bytes, and at most {MAX_ASSET_BYTES} are taken"
        )
    name, digest = _said_of(module)
    if sha256(content).digest() != digest:
        raise MalformedError("asset: its data has another SHA-256 than its suffix says")
    return name, content


def _said_of(module: Module) -> tuple[str, bytes]:
    names = [each.data for each in module.suffix_extensions if each.type == ext.NAME]
    hashes = [each.as_hash() for each in module.suffix_extensions if each.type == ext.HASH]
    if len(names) != 1 or len(hashes) != 1 or hashes[0] is None:
        raise MalformedError("asset: its suffix has one name and one SHA-256")
    try:
        return names[0].decode(), hashes[0]
    except UnicodeDecodeError as error:
        raise MalformedError("asset: its name is not UTF-8") from error
