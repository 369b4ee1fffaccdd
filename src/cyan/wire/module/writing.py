"""Making a module with all its checksums (device-protocol.md section 7)."""

from collections.abc import Sequence
from typing import Final

from cyan.wire.describe.system import NO_FUNCTION, Asset, ModuleDependency
from cyan.wire.errors import MisuseError
from cyan.wire.module import extensions as ext
from cyan.wire.module.extensions import Extension
from cyan.wire.module.prefix import PREFIX
from cyan.wire.module.values import (
    BASE_SUFFIX_BYTES,
    CRC_BYTES,
    MAX_MODULE_BYTES,
    NO_PRODUCT,
    NO_SUFFIX,
    PREFIX_BYTES,
    PREFIX_EXTENSIONS,
    seal,
)

_IN_PREFIX: Final = 2
"""Dependencies for which it has room; more become extensions."""

_NO_DEPENDENCY: Final = ModuleDependency(NO_FUNCTION)
_MAX_ADDRESS: Final = 0xFFFFFFFF


def encode_module(
    body: bytes | memoryview,
    *,
    platform_id: int,
    function: int,
    index: int = 1,
    version: int = 0,
    start_address: int = 0,
    dependencies: Sequence[ModuleDependency] = (),
    assets: Sequence[Asset] = (),
    product_id: int | None = None,
    product_version: int | None = None,
    flags: int = 0,
    mcu: int = 0,
    vector_table: bytes = b"",
    prefix_extensions: Sequence[Extension] = (),
    suffix_extensions: Sequence[Extension] = (),
) -> bytes:
    """A valid module: `vector_table`, prefix, `body`, suffix, SHA-256, CRC-32.

    `dependencies` beyond two, and `assets`, become extensions of the suffix. Extensions of the
    prefix end by themselves. Raises MisuseError for what does not fit its field.
    """
    if prefix_extensions:
        flags |= PREFIX_EXTENSIONS
        if prefix_extensions[-1].type != ext.END:
            prefix_extensions = (*prefix_extensions, Extension(ext.END))
    head = ext.encode_all(prefix_extensions)
    suffix = _encode_suffix(
        (
            *(ext.asset_dependency(each) for each in assets),
            *(ext.dependency(each) for each in dependencies[_IN_PREFIX:]),
            *suffix_extensions,
        ),
        NO_PRODUCT if product_id is None else product_id,
        NO_PRODUCT if product_version is None else product_version,
    )
    size = len(vector_table) + PREFIX_BYTES + len(head) + len(body) + len(suffix) + CRC_BYTES
    end_address = start_address + size - CRC_BYTES
    if size > MAX_MODULE_BYTES or end_address > _MAX_ADDRESS:
        raise MisuseError(
            f"A module has at most {MAX_MODULE_BYTES} bytes, and ends below 0x100000000."
        )
    first, second = (*dependencies[:_IN_PREFIX], _NO_DEPENDENCY, _NO_DEPENDENCY)[:_IN_PREFIX]
    try:
        prefix = PREFIX.pack(
            start_address, end_address, mcu, flags, version, platform_id, function, index,
            first.function, first.index, first.version,
            second.function, second.index, second.version,
        )  # fmt: skip
    except Exception as error:  # struct.error, which is no ValueError
        raise MisuseError(f"A field of the prefix does not fit: {error}.") from error
    return seal(bytearray().join((vector_table, prefix, head, body, suffix, bytes(CRC_BYTES))))


def _encode_suffix(extensions: Sequence[Extension], product_id: int, product_version: int) -> bytes:
    """All but the CRC, the SHA-256 left empty."""
    if not (0 <= product_id <= NO_PRODUCT and 0 <= product_version <= NO_PRODUCT):
        raise MisuseError("Product id and version are numbers of 16 bits.")
    product = ext.product_data(product_id, product_version)
    if any(each.type in (ext.END, ext.PRODUCT_DATA) for each in extensions):
        raise MisuseError("The last extension of the suffix is made of the product's data.")
    front = ext.encode_all((*extensions, product)) if extensions else product.data[-4:]
    size = len(front) + BASE_SUFFIX_BYTES
    if size >= NO_SUFFIX:
        raise MisuseError(f"A suffix has less than {NO_SUFFIX} bytes, not {size}.")
    return front + bytes(2) + bytes(32) + size.to_bytes(2, "little")
