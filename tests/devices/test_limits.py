"""What firmware takes, by its age (platform-semantics.md §6.1)."""

import pytest

from cyan.devices.limits import Limits, limits_of
from cyan.wire import coap
from cyan.wire.messages import encode_event, encode_function_call

CORE, PHOTON, ELECTRON, BORON = 0, 6, 10, 13


@pytest.mark.parametrize(
    ("platform_id", "system_version", "limits"),
    [
        (CORE, 23, Limits(255, 63, 12)),
        (PHOTON, 207, Limits(255, 63, 12)),
        (PHOTON, 300, Limits(622, 622, 64)),
        (ELECTRON, 2302, Limits(622, 622, 64)),
        (BORON, 2008, Limits(622, 622, 64)),
        (PHOTON, 3302, Limits(864, 864, 64)),
        (BORON, 3005, Limits(1024, 1024, 64)),
        (BORON, 6200, Limits(1024, 1024, 64)),
    ],
)
def test_the_limits_are_those_of_the_release(
    platform_id: int, system_version: int, limits: Limits
) -> None:
    assert limits_of(platform_id, system_version, None) == limits


def test_firmware_that_says_no_version_is_older_than_3() -> None:
    assert limits_of(BORON, None, None) == Limits(622, 622, 64)


def test_of_a_device_that_was_never_seen_nothing_is_known() -> None:
    assert limits_of(None, None, None) == Limits(1024, 1024, 64)


@pytest.mark.parametrize("max_message_bytes", [768, 800, 900, 960, 1152])
@pytest.mark.parametrize("platform_id", [PHOTON, BORON])
def test_what_is_within_the_limits_fits_into_the_largest_message(
    platform_id: int, max_message_bytes: int
) -> None:
    limits = limits_of(platform_id, 3302, max_message_bytes)
    event = encode_event(
        1,
        "n" * 64,
        b"x" * limits.event_data_bytes,
        confirmable=True,
        content_format=coap.STRUCTURED,
        max_age=0xFFFF,
    )
    call = encode_function_call(1, b"t", "n" * 64, "x" * limits.argument_bytes)
    assert len(event) <= max_message_bytes
    assert len(call) <= max_message_bytes
    assert limits.argument_bytes >= min(864, max_message_bytes - 80)


def test_a_board_with_a_small_buffer_has_limits_of_its_own() -> None:
    assert limits_of(BORON, 6200, 1152) == Limits(1024, 1024, 64)
    assert limits_of(PHOTON, 3302, 960) == Limits(864, 864, 64)
    assert limits_of(BORON, 6200, 40) == Limits(0, 0, 64)
