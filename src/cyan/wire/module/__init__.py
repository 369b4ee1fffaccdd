"""Firmware modules: the binaries that devices run and update (device-protocol.md section 7).

`parse_module` reads one, `encode_module` makes one; `split_modules` and `combine_modules` handle
files of several, `compress_module` and `decompress_module` the compressed form, `encode_asset` and
`decode_asset` the modules that carry the assets of an application.
"""

from cyan.wire.module.assets import MAX_ASSET_BYTES, decode_asset, encode_asset
from cyan.wire.module.combining import MAX_COMBINED, combine_modules, split_modules
from cyan.wire.module.compression import compress_module, decompress_module, may_be_compressed
from cyan.wire.module.extensions import Extension
from cyan.wire.module.platforms import PLATFORM_NAMES, platform_name
from cyan.wire.module.reading import parse_module
from cyan.wire.module.values import (
    COMBINED,
    COMPRESSED,
    DROP_MODULE_INFO,
    ENCRYPTED,
    FUNCTION_NAMES,
    MAX_MODULE_BYTES,
    NO_PRODUCT,
    PREFIX_EXTENSIONS,
    Module,
)
from cyan.wire.module.writing import encode_module

__all__ = [
    "COMBINED",
    "COMPRESSED",
    "DROP_MODULE_INFO",
    "ENCRYPTED",
    "FUNCTION_NAMES",
    "MAX_ASSET_BYTES",
    "MAX_COMBINED",
    "MAX_MODULE_BYTES",
    "NO_PRODUCT",
    "PLATFORM_NAMES",
    "PREFIX_EXTENSIONS",
    "Extension",
    "Module",
    "combine_modules",
    "compress_module",
    "decode_asset",
    "decompress_module",
    "encode_asset",
    "encode_module",
    "may_be_compressed",
    "parse_module",
    "platform_name",
    "split_modules",
]
