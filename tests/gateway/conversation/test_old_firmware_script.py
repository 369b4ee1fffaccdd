"""What only old firmware tells in events (device-protocol.md §3.11)."""

import pytest

from cyan.devices import description
from cyan.gateway.effects import Reply
from tests.gateway.conversation.scripts import LAMP, is_work, only_save, say


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("spark/hardware/max_binary", "max_binary_bytes"),
        ("spark/hardware/ota_chunk_size", "ota_chunk_bytes"),
    ],
)
def test_a_size_is_kept_and_shown_to_nobody(name: str, column: str) -> None:
    save = only_save(say(name, b"413696"))
    (work,) = save.works
    keep = description.store_transfer_limits
    assert is_work(work, keep, device_id=LAMP, **{column: 413_696})
    assert (save.reply, save.after) == (b"", ())


@pytest.mark.parametrize("name", ["spark/hardware/max_binary", "spark/hardware/ota_chunk_size"])
@pytest.mark.parametrize("data", [b"", b"0", b"-5", b"4k", b"1" * 10, "٣".encode()])
def test_what_is_no_size_is_acknowledged_and_forgotten(name: str, data: bytes) -> None:
    assert say(name, data) == (Reply(),)


def test_the_patch_of_the_wifi_chip_is_kept_without_what_cannot_be_printed() -> None:
    save = only_save(say("spark/cc3000-patch-version", b"1.28\n\xff"))
    (work,) = save.works
    keep = description.store_patch_version
    assert is_work(work, keep, device_id=LAMP, version="1.28\ufffd")
    assert (save.reply, save.after) == (b"", ())


def test_the_result_of_an_update_is_acknowledged() -> None:
    assert say("spark/device/ota_result", b'{"r":"ok"}') == (Reply(),)
