"""Bundles of an application and its assets: whole, bounded, and always the same."""

import io
import zipfile
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyan.wire.bundle import (
    MAX_ASSETS_BYTES,
    MAX_BUNDLE_BYTES,
    MAX_ENTRIES,
    BundledAsset,
    encode_bundle,
    is_bundle,
    read_bundle,
)
from cyan.wire.describe import Asset
from cyan.wire.describe.system import USER_PART
from cyan.wire.errors import MalformedError, MisuseError
from cyan.wire.module import MAX_ASSET_BYTES, encode_module

SOUND, TEXT = BundledAsset("sound.wav", b"RIFF" * 100), BundledAsset("größe.txt", b"12")


def application(*assets: BundledAsset) -> bytes:
    listed = [Asset(sha256(each.data).digest(), each.name) for each in assets]
    return encode_module(
        b"code", platform_id=13, function=USER_PART, product_version=1, assets=listed
    )


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


APPLICATION = application(SOUND)
WHOLE = {"application.bin": APPLICATION, "assets/sound.wav": SOUND.data}


def test_a_bundle_reads_as_it_was_made() -> None:
    made = encode_bundle(application(SOUND, TEXT), (TEXT, SOUND))
    found = read_bundle(made)
    assert found.assets == (SOUND, TEXT)
    assert bytes(found.application.data) == application(SOUND, TEXT)
    assert is_bundle(made)
    assert not is_bundle(APPLICATION)


def test_the_same_files_give_the_same_bundle() -> None:
    assert encode_bundle(APPLICATION, (SOUND,)) == encode_bundle(APPLICATION, (SOUND,))


def test_the_application_may_have_any_name_and_other_folders_are_left_aside() -> None:
    made = zipped(
        {"tinker.bin": APPLICATION, "assets/": b"", "assets/sound.wav": SOUND.data, "env/a": b"{}"}
    )
    assert read_bundle(made).assets == (SOUND,)


WRONG = {
    "no zip": (b"PK\x03\x04" + bytes(100), "cannot be read"),
    "cut short": (zipped(WHOLE)[:-30], "cannot be read"),
    "too large": (bytes(MAX_BUNDLE_BYTES + 1), f"at most {MAX_BUNDLE_BYTES}"),
    "no application": (zipped({"assets/sound.wav": SOUND.data}), "0 files at its top"),
    "two applications": (zipped({**WHOLE, "b.bin": b""}), "2 files at its top"),
    "no module": (zipped({"application.bin": b"text"}), "module size: 4 bytes"),
    "an asset missing": (zipped({"a.bin": APPLICATION}), "'sound.wav' is listed and not there"),
    "another asset": (zipped({**WHOLE, "assets/sound.wav": b"x"}), "another SHA-256"),
    "an asset too much": (zipped({**WHOLE, "assets/b": b""}), "does not list the asset 'b'"),
    "a name that hides": (zipped({**WHOLE, "assets/a\x1b[2J": b""}), "that can be printed"),
    "a way out": (zipped({**WHOLE, "assets/..": b""}), "1 to 255 bytes"),
    "another method": (zipped(WHOLE, zipfile.ZIP_BZIP2), "other than store or deflate"),
    "too many": (
        zipped({str(number) + "/x": b"" for number in range(MAX_ENTRIES + 1)}),
        f"at most {MAX_ENTRIES}",
    ),
    "far too many": (zipped(WHOLE) + b"PK\x01\x02" * 20_001, "far more"),
    "a bomb": (
        zipped({**WHOLE, "assets/b": bytes(MAX_ASSET_BYTES + 1)}),
        f"more than {MAX_ASSET_BYTES} bytes",
    ),
    "many bombs": (
        zipped(
            {**WHOLE, **{f"assets/{number}": bytes(MAX_ASSETS_BYTES // 2) for number in range(3)}}
        ),
        "when unpacked",
    ),
}


@pytest.mark.parametrize(("data", "text"), WRONG.values(), ids=WRONG)
def test_a_wrong_bundle_is_refused_with_what_is_wrong(data: bytes, text: str) -> None:
    with pytest.raises(MalformedError, match=text):
        read_bundle(data)


def test_an_encrypted_file_is_refused() -> None:
    made = bytearray(zipped(WHOLE))
    made[made.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(MalformedError, match="is encrypted"):
        read_bundle(bytes(made))


def test_an_asset_that_is_there_twice_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("assets/a", b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("assets/a", b"")
    with pytest.raises(MalformedError, match="'a' is there twice"):
        read_bundle(out.getvalue())


def test_a_size_that_lies_does_not_help() -> None:
    made = bytearray(zipped({**WHOLE, "assets/b": bytes(MAX_ASSET_BYTES + 1)}))
    at = made.index(b"assets/b", made.index(b"PK\x01\x02")) - 46
    made[at + 24 : at + 28] = (10).to_bytes(4, "little")
    with pytest.raises(MalformedError):
        read_bundle(bytes(made))


def test_a_bundle_is_made_of_what_its_application_lists() -> None:
    with pytest.raises(MisuseError, match="listed and not there"):
        encode_bundle(APPLICATION)
    with pytest.raises(MisuseError, match="does not list"):
        encode_bundle(application(), (SOUND,))


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text("abcdefgh.-_é", min_size=1, max_size=20).filter(lambda name: name.strip(".")),
        st.binary(max_size=200),
        max_size=5,
    )
)
def test_every_bundle_reads_as_it_was_made(files: dict[str, bytes]) -> None:
    assets = tuple(BundledAsset(name, data) for name, data in files.items())
    assert read_bundle(encode_bundle(application(*assets), assets)).assets == assets
