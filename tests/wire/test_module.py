"""Firmware modules: what others made is read, what we make is read back, what is wrong is named.

Real binaries and the other reader of the format are in tests/compat/test_modules.py.
"""

import struct
import zlib
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyan.wire.describe import Asset, ModuleDependency
from cyan.wire.describe.system import ASSET, BOOTLOADER, SYSTEM_PART, USER_PART
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.module import (
    COMBINED,
    COMPRESSED,
    DROP_MODULE_INFO,
    MAX_ASSET_BYTES,
    MAX_COMBINED,
    MAX_MODULE_BYTES,
    Extension,
    combine_modules,
    compress_module,
    decode_asset,
    decompress_module,
    encode_asset,
    encode_module,
    parse_module,
    split_modules,
)
from cyan.wire.module.values import seal

BORON = 13
SYSTEM_1 = ModuleDependency(SYSTEM_PART, 1, 5800)

GREETING = b"hello hello hello hello hello hello"
PLAIN_ASSET = bytes.fromhex(
    "000000009f0000000001000000000900000000000000000068656c6c6f2068656c6c6f2068656c6c6f2068656c6c6f"
    "2068656c6c6f2068656c6c6f10002600002080bee6e73036771ba2b3c92ec31ee045ec23f6896c7383654dcb73be6a"
    "a7e568110010006772656574696e672e74787401000a00ffffffffffff0000960943815b76425f8dcfd2fae509253f"
    "ce5b4482439e5e39529aaa693e48e6a76400b2ef1d52"
)
PACKED_ASSET = bytes.fromhex(
    "000000008f000000000300000000090000000000000000000800000023000000cb48cdc9c957c8c047020010002600"
    "002080bee6e73036771ba2b3c92ec31ee045ec23f6896c7383654dcb73be6aa7e568110010006772656574696e672e"
    "74787401000a00ffffffffffff0000f5fd1302d89a58e1ccaf1ce7d28d69abf853d7ed2fc0a7c64a923eef777bfbed"
    "6400ceb580d5"
)
"""GREETING as `greeting.txt`: `createAssetModule` of binary-version-reader 3.1.3."""


def application(body: bytes = b"code" * 50, **more: object) -> bytes:
    settings: dict[str, object] = {
        "platform_id": BORON,
        "function": USER_PART,
        "index": 1,
        "version": 6,
        "start_address": 0xB4000,
        "dependencies": (SYSTEM_1,),
        "product_id": BORON,
        "product_version": 3,
    }
    return encode_module(body, **(settings | more))  # type: ignore[arg-type]


def changed(data: bytes, offset: int, value: bytes) -> bytes:
    made = bytearray(data)
    made[offset : offset + len(value)] = value
    return bytes(made)


def resealed(data: bytes, offset: int, value: bytes) -> bytes:
    return seal(bytearray(changed(data, offset, value)))


def test_an_application_reads_as_it_was_made() -> None:
    module = parse_module(application())
    assert (module.platform_id, module.function, module.index) == (BORON, USER_PART, 1)
    assert (module.version, module.start_address) == (6, 0xB4000)
    assert module.dependencies == (SYSTEM_1,)
    assert (module.product_id, module.product_version) == (BORON, 3)
    assert bytes(module.body) == b"code" * 50
    assert module.has_right_sha256
    assert module.name == "user part 1"


def test_the_tail_of_an_application_is_that_of_the_reference() -> None:
    data = application()
    tail = data[-44:]
    assert tail[:6].hex(" ", 2) == "0d00 0300 0000"
    assert tail[6:38] == sha256(data[:-38]).digest()
    assert tail[38:40].hex() == "2800"
    assert tail[40:] == zlib.crc32(data[:-4]).to_bytes(4, "big")


def test_an_asset_of_another_maker_is_read() -> None:
    assert decode_asset(PLAIN_ASSET) == ("greeting.txt", GREETING)
    assert decode_asset(PACKED_ASSET) == ("greeting.txt", GREETING)
    module = parse_module(PACKED_ASSET)
    assert (module.function, module.platform_id) == (ASSET, 0)
    assert module.flags == DROP_MODULE_INFO | COMPRESSED


def test_an_asset_is_made_as_the_other_maker_does() -> None:
    assert encode_asset("greeting.txt", GREETING, compress=False) == PLAIN_ASSET
    # The streams of two makers differ; each restores the same module.
    assert decompress_module(encode_asset("greeting.txt", b"hello " * 500)) == encode_asset(
        "greeting.txt", b"hello " * 500, compress=False
    )


def test_an_asset_that_would_grow_is_not_compressed() -> None:
    assert not parse_module(encode_asset("x", b"a")).is_compressed


@pytest.mark.parametrize("offset", [0x200, 0x184, 0xC0, 0x10C, 0x400, 8 * 1024 - 24])
def test_a_prefix_is_found_behind_a_vector_table(offset: int) -> None:
    made = application(bytes(200), vector_table=b"\x01\x02\x03\x04" * (offset // 4))
    module = parse_module(made)
    assert (module.prefix_offset, module.platform_id) == (offset, BORON)
    assert bytes(module.body) == bytes(200)


def test_code_that_looks_like_the_first_of_two_modules_is_no_prefix() -> None:
    """The Core's vector table is behind 0xC0, where other boards have a prefix; a firmware of it
    has words there that end before the file does, and the flag for a module that follows."""
    made = bytearray(application(bytes(5000), platform_id=0, vector_table=bytes(0x10C)))
    made[0xC0:0xD8] = struct.pack("<IIBBHHBBBBHBBH", 0x1000, 0x2000, 0, 4, 0, 3269, 1, *[0] * 7)
    module = parse_module(seal(made))
    assert module.prefix_offset == 0x10C


def test_a_module_of_the_first_firmware_has_no_product() -> None:
    made = application()
    short = bytearray(made[:-44] + made[-40:])
    short[4:8] = (0xB4000 + len(short) - 4).to_bytes(4, "little")
    short[-6:-4] = (36).to_bytes(2, "little")
    module = parse_module(seal(short))
    assert (module.product_id, module.product_version) == (None, None)


def test_a_suffix_that_was_never_filled_tells_nothing() -> None:
    padded = bytearray(application(function=BOOTLOADER))
    padded[-44:-4] = b"\xff" * 40
    padded[-4:] = zlib.crc32(padded[:-4]).to_bytes(4, "big")
    module = parse_module(bytes(padded))
    assert (module.product_version, module.suffix_bytes, module.has_right_sha256) == (
        None,
        0,
        False,
    )


def test_no_product_reads_as_none() -> None:
    module = parse_module(application(product_id=None, product_version=None))
    assert (module.product_id, module.product_version) == (None, None)


def test_more_than_two_dependencies_and_assets_are_told_by_extensions() -> None:
    needed = tuple(ModuleDependency(SYSTEM_PART, index, 3000) for index in (1, 2, 3))
    assets = (Asset(bytes(range(32)), "sound.wav"), Asset(bytes(32), "größe.txt"))
    module = parse_module(application(dependencies=needed, assets=assets))
    assert module.dependencies == needed
    assert module.assets == assets
    assert (module.product_id, module.product_version) == (BORON, 3)


def test_extensions_of_the_prefix_are_kept_apart_from_the_body() -> None:
    module = parse_module(application(b"body", prefix_extensions=(Extension(0x77, b"abc"),)))
    assert module.prefix_extensions == (Extension(0x77, b"abc"), Extension(0))
    assert bytes(module.body) == b"body"


def test_a_hash_that_nobody_renewed_is_told_and_does_no_harm() -> None:
    data = bytearray(application())
    data[30] ^= 1
    data[-4:] = zlib.crc32(data[:-4]).to_bytes(4, "big")
    assert not parse_module(bytes(data)).has_right_sha256


GOOD = application()
WRONG = {
    "nothing": (b"", "module size: 0 bytes"),
    "a text": (b"a text that somebody sent as firmware, " * 3, "module size: the prefix at 0 says"),
    "zeros": (bytes(200), "module prefix: none was found"),
    "too long": (bytes(MAX_MODULE_BYTES + 1), f"at most {MAX_MODULE_BYTES}"),
    "cut short": (GOOD[:-1], "module size: the prefix at 0 says"),
    "with a tail": (GOOD + b"\0", "module size: the prefix at 0 says"),
    "a bit turned": (changed(GOOD, 40, b"\xff"), "CRC-32: "),
    "no function": (resealed(GOOD, 14, b"\0"), "module function: 0"),
    "an endless suffix": (resealed(GOOD, len(GOOD) - 6, b"\xfe\xff"), "module suffix: its size"),
    "no suffix": (resealed(GOOD, len(GOOD) - 6, b"\x23\0"), "module suffix: its size is 35"),
    "a bad extension": (
        resealed(application(assets=(Asset(bytes(32), "a"),)), len(GOOD) - 44 + 2, b"\0\0"),
        "module suffix: extension",
    ),
    "an open prefix": (resealed(GOOD, 9, b"\x10"), "module prefix: "),
    "a combined file": (combine_modules([GOOD, GOOD]), "module size: "),
}


@pytest.mark.parametrize(("data", "text"), WRONG.values(), ids=WRONG)
def test_a_file_that_is_wrong_is_refused_with_the_name_of_the_check(data: bytes, text: str) -> None:
    with pytest.raises(MalformedError, match=text):
        parse_module(data)


def test_a_wrong_crc_tells_both() -> None:
    broken = changed(GOOD, len(GOOD) - 4, b"\x01\x02\x03\x04")
    with pytest.raises(MalformedError, match=f"01020304 is stored.*give {GOOD[-4:].hex()}"):
        parse_module(broken)


def test_a_compressed_application_is_smaller_and_the_same_again() -> None:
    plain = application(b"text of firmware, again and again; " * 500)
    packed = compress_module(plain)
    assert len(packed) < len(plain) // 10
    module = parse_module(packed)
    assert module.is_compressed
    assert (module.platform_id, module.product_version, module.dependencies) == (
        BORON,
        3,
        (SYSTEM_1,),
    )
    assert decompress_module(packed) == plain
    assert compress_module(plain) == packed


def test_a_boot_loader_is_not_compressed() -> None:
    with pytest.raises(MisuseError, match="user parts, system parts and assets"):
        compress_module(application(function=BOOTLOADER))
    with pytest.raises(MisuseError, match="once"):
        compress_module(compress_module(GOOD))


PACKED = compress_module(application(b"text of firmware; " * 100))
BAD_PACKED = {
    "not compressed": (GOOD, "is not compressed"),
    "a header too short": (resealed(PACKED, 24, b"\7\0"), "a header of 7 bytes"),
    "a header too long": (resealed(PACKED, 24, b"\xff\xff"), "a header of 65535 bytes"),
    "another method": (resealed(PACKED, 26, b"\1"), "method 1"),
    "a small window": (resealed(PACKED, 27, b"\7"), "7 window bits"),
    "a bomb": (resealed(PACKED, 28, b"\xff\xff\xff\xff"), "4294967295 bytes when unpacked"),
    "another size": (resealed(PACKED, 28, b"\x10\0\0\0"), "16 bytes when unpacked"),
    "a broken stream": (resealed(PACKED, 32, b"\xff\xff\xff\xff"), "the deflate stream is damaged"),
    "an empty body": (application(b"", flags=COMPRESSED), "its header has 8"),
}


@pytest.mark.parametrize(("data", "text"), BAD_PACKED.values(), ids=BAD_PACKED)
def test_a_wrong_compressed_module_is_refused(data: bytes, text: str) -> None:
    with pytest.raises(MalformedError, match=text):
        decompress_module(data)


def test_what_a_stream_holds_beyond_its_size_is_never_unpacked() -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = bomb.compress(bytes(MAX_MODULE_BYTES * 4)) + bomb.flush()
    body = struct.pack("<HBBI", 8, 0, 0, 100) + stream
    with pytest.raises(MalformedError, match="100 bytes when unpacked"):
        decompress_module(application(body, flags=COMPRESSED))


def test_combined_modules_come_apart_again() -> None:
    system = application(b"system" * 20, function=SYSTEM_PART)
    made = combine_modules([system, GOOD])
    first, second = split_modules(made)
    assert (first.flags, second.flags) == (COMBINED, 0)
    assert first.has_right_sha256
    assert bytes(first.body) == b"system" * 20
    assert bytes(second.data) == GOOD
    assert combine_modules([GOOD]) == GOOD
    assert [bytes(each.data) for each in split_modules(GOOD)] == [GOOD]


def test_a_combined_file_with_a_vector_table_comes_apart() -> None:
    system = application(bytes(300), function=SYSTEM_PART, vector_table=bytes(0x200))
    first, second = split_modules(combine_modules([system, GOOD]))
    assert (first.prefix_offset, second.prefix_offset) == (0x200, 0)


def test_a_combined_file_is_whole_or_refused() -> None:
    made = combine_modules([GOOD, GOOD])
    with pytest.raises(MalformedError, match="the file ends"):
        split_modules(made[: len(GOOD)])
    with pytest.raises(MalformedError, match="module size"):
        split_modules(made + b"\0")
    with pytest.raises(MalformedError, match=f"more than {MAX_COMBINED}"):
        split_modules(made[: len(GOOD)] * MAX_COMBINED + GOOD)
    with pytest.raises(MalformedError, match=str(MAX_MODULE_BYTES)):
        split_modules(bytes(MAX_MODULE_BYTES + 1))


def test_nothing_or_too_much_is_not_combined() -> None:
    for count in (0, MAX_COMBINED + 1):
        with pytest.raises(MisuseError, match=str(count)):
            combine_modules([GOOD] * count)
    with pytest.raises(MisuseError, match="combined already"):
        combine_modules([combine_modules([GOOD, GOOD])[: len(GOOD)], GOOD])


BAD_ASSETS = {
    "an application": (GOOD, "module function: 5"),
    "another hash": (resealed(PLAIN_ASSET, 24, b"J"), "another SHA-256"),
    "no name": (
        encode_module(b"x", platform_id=0, function=ASSET, flags=DROP_MODULE_INFO),
        "one name and one SHA-256",
    ),
    "too much": (
        encode_module(bytes(MAX_ASSET_BYTES + 1), platform_id=0, function=ASSET, flags=1),
        f"at most {MAX_ASSET_BYTES}",
    ),
    "a name of other bytes": (
        resealed(PLAIN_ASSET, PLAIN_ASSET.index(b"greeting"), b"\xff"),
        "not UTF-8",
    ),
}


@pytest.mark.parametrize(("data", "text"), BAD_ASSETS.values(), ids=BAD_ASSETS)
def test_a_wrong_asset_is_refused(data: bytes, text: str) -> None:
    with pytest.raises(MalformedError, match=text):
        decode_asset(data)


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_an_asset_has_a_name_that_fits(name: str) -> None:
    with pytest.raises(MisuseError, match="1 to 255"):
        encode_asset(name, b"data")


UNFIT = {
    "platform": {"platform_id": 1 << 16},
    "address": {"start_address": 0xFFFFFFF0},
    "product": {"product_version": 1 << 16},
    "size": {"body": bytes(MAX_MODULE_BYTES)},
    "suffix": {"suffix_extensions": (Extension(0x77, bytes(60_000)),) * 2},
    "extension": {"suffix_extensions": (Extension(0x77, bytes(65_532)),)},
    "end": {"suffix_extensions": (Extension(0),)},
}


@pytest.mark.parametrize("settings", UNFIT.values(), ids=UNFIT)
def test_what_does_not_fit_is_our_mistake(settings: dict[str, object]) -> None:
    with pytest.raises(MisuseError):
        application(**settings)  # type: ignore[arg-type]


U8, U16 = st.integers(0, 0xFF), st.integers(0, 0xFFFF)
PRODUCT = st.none() | st.integers(0, 0xFFFE)
NEEDED = st.builds(ModuleDependency, st.integers(1, 0xFF), U8, U16)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
EXTENSIONS = st.lists(
    st.builds(Extension, st.integers(0x20, 0xFFFE), st.binary(max_size=40)), max_size=4
)


@settings(deadline=None)
@given(
    body=st.binary(max_size=2000),
    numbers=st.tuples(U16, st.integers(1, 0xFF), U8, U16, U8),
    start=st.integers(0, 0xFFFF0000),
    needed=st.lists(NEEDED, max_size=5),
    assets=st.lists(st.builds(Asset, st.binary(min_size=32, max_size=32), NAMES), max_size=3),
    product=st.tuples(PRODUCT, PRODUCT),
    before=EXTENSIONS,
    after=EXTENSIONS,
    vectors=st.sampled_from((0, 0x200, 0x184)),
)
def test_every_module_reads_as_it_was_made(
    body: bytes,
    numbers: tuple[int, int, int, int, int],
    start: int,
    needed: list[ModuleDependency],
    assets: list[Asset],
    product: tuple[int | None, int | None],
    before: list[Extension],
    after: list[Extension],
    vectors: int,
) -> None:
    platform_id, function, index, version, mcu = numbers
    data = encode_module(
        body,
        platform_id=platform_id,
        function=function,
        index=index,
        version=version,
        mcu=mcu,
        start_address=start,
        dependencies=needed,
        assets=assets,
        product_id=product[0],
        product_version=product[1],
        vector_table=b"\xff" * vectors,
        prefix_extensions=before,
        suffix_extensions=after,
    )
    module = parse_module(data)
    assert bytes(module.body) == body
    assert (
        module.platform_id,
        module.function,
        module.index,
        module.version,
        module.mcu,
        module.start_address,
        module.prefix_offset,
    ) == (*numbers, start, vectors)
    assert (list(module.dependencies), list(module.assets)) == (needed, assets)
    assert (module.product_id, module.product_version) == product
    assert [each for each in module.prefix_extensions if each.type] == before
    assert module.has_right_sha256
    assert module.data.obj is data


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=MAX_COMBINED))
def test_whatever_is_combined_comes_apart(bodies: list[bytes]) -> None:
    made = combine_modules([application(body) for body in bodies])
    assert [bytes(each.body) for each in split_modules(made)] == bodies


@settings(deadline=None)
@given(st.binary(max_size=3000), NAMES, st.booleans())
def test_every_asset_reads_as_it_was_made(data: bytes, name: str, compress: bool) -> None:
    assert decode_asset(encode_asset(name, data, compress=compress)) == (name, data)


@settings(deadline=None)
@given(st.binary(max_size=3000))
def test_every_compressed_module_is_the_same_again(body: bytes) -> None:
    plain = application(body)
    assert decompress_module(compress_module(plain)) == plain
