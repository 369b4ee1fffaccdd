"""Which of a person's devices a list has, in which order, and which page of them.

The platform's own list of a person takes none of this and has no pages: without any of it, all
devices come, the one with the newest handshake first. What it takes for a product
(rest-api-core.md §8.2) is taken here too.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from cyan.core.errors import InvalidError
from cyan.devices.model import ListedDevice

DEFAULT_PAGE_SIZE: Final = 25
"""When only the page is named (rest-api-core.md §8.2)."""

MAX_PAGE_SIZE: Final = 1000
MAX_PAGE: Final = 1_000_000


_ORDERS: Final[dict[str, Callable[[ListedDevice], Any]]] = {
    "deviceName": lambda device: (device.name or "").lower(),
    "deviceId": lambda device: device.id,
    "firmwareVersion": lambda device: (
        -1 if device.product_version is None else device.product_version
    ),
}

LAST_CONNECTION: Final = "lastConnection"


class MalformedListingError(InvalidError):
    """A list cannot be made so."""


class Listing(msgspec.Struct, frozen=True):
    """What is asked for. Texts are looked for inside ids, names and serial numbers, in any case."""

    device_id: str = ""
    device_name: str = ""
    serial_number: str = ""
    order: str = LAST_CONNECTION
    descending: bool = True
    page: int = 1
    page_size: int | None = None
    """None: all on one page."""

    def choose(
        self, devices: list[ListedDevice], last_handshake_ms: Callable[[ListedDevice], int | None]
    ) -> tuple[list[ListedDevice], int]:
        """The devices of the page in order, and how many there are on all pages."""
        chosen = [device for device in devices if self._has(device)]
        chosen.sort(key=lambda device: device.id)
        by = _ORDERS.get(self.order, lambda device: last_handshake_ms(device) or 0)
        chosen.sort(key=by, reverse=self.descending)
        if self.page_size is None:
            return chosen, len(chosen)
        start = (self.page - 1) * self.page_size
        return chosen[start : start + self.page_size], len(chosen)

    def _has(self, device: ListedDevice) -> bool:
        return (
            self.device_id in device.id
            and self.device_name in (device.name or "").lower()
            and self.serial_number in (device.serial_number or "").lower()
        )


def read_listing(
    *,
    device_id: str = "",
    device_name: str = "",
    serial_number: str = "",
    sort_attr: str = "",
    sort_dir: str = "",
    page: str = "",
    page_size: str = "",
) -> Listing:
    """From the texts of a query; "" for what it has not. Raises MalformedListingError."""
    if sort_attr and sort_attr not in _ORDERS and sort_attr != LAST_CONNECTION:
        known = ", ".join([*_ORDERS, LAST_CONNECTION])
        raise MalformedListingError(f"sortAttr is one of {known}.")
    if sort_dir not in ("", "asc", "desc"):
        raise MalformedListingError("sortDir is asc or desc.")
    order = sort_attr or LAST_CONNECTION
    is_paged = bool(page or page_size)
    return Listing(
        device_id=device_id.lower(),
        device_name=device_name.lower(),
        serial_number=serial_number.lower(),
        order=order,
        descending=sort_dir == "desc" if sort_dir else order == LAST_CONNECTION,
        page=_number("page", page, MAX_PAGE) if page else 1,
        page_size=(
            _number("per_page", page_size, MAX_PAGE_SIZE) if page_size else DEFAULT_PAGE_SIZE
        )
        if is_paged
        else None,
    )


def _number(name: str, text: str, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most:
        return int(text)
    raise MalformedListingError(f"{name} is a number from 1 to {most}.")
