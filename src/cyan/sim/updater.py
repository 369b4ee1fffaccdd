"""The part of a device that takes updates, over all its connections of one boot."""

from typing import Final

import msgspec

from cyan.sim import oserrors
from cyan.sim.application import describe_application
from cyan.sim.boards import Board
from cyan.sim.describing import TooLongError, check_room, encode_system
from cyan.sim.firmware import Firmware
from cyan.sim.flash import FlashError, Storage
from cyan.sim.images import read_image
from cyan.sim.installing import factory_firmware, install, install_unchecked
from cyan.sim.oserrors import DeviceOsError
from cyan.sim.updatefaults import Phase, Trouble, Troubles, UpdateFault
from cyan.wire.describe.system import ASSET
from cyan.wire.errors import MalformedError

_KIB: Final = 1024

LARGEST_SHARED_BYTES: Final = 592 * _KIB
"""Of an update on boards whose assets lie behind it: a larger one overwrites them (§5.5)."""

_SMALL_STORE: Final = (1152 * _KIB, LARGEST_SHARED_BYTES)
_REALTEK_STORE: Final = (1152 * _KIB, 1116 * _KIB)
_LARGE_STORE: Final = (2048 * _KIB, 1536 * _KIB)
_ASSET_STORES: Final = {
    "argon": _SMALL_STORE,
    "boron": _SMALL_STORE,
    "bsom": _SMALL_STORE,
    "p2": _REALTEK_STORE,
    "msom": _REALTEK_STORE,
    "b5som": _LARGE_STORE,
    "tracker": _LARGE_STORE,
}
"""Bytes of all assets together, and of the largest (§5.5)."""


class Updater:
    """What the device knows of updates. `firmware` None is what the board came with.

    `is_enabled`, `is_forced` and `pending` are the flags of the `particle/device/updates/…` events;
    the last is None until the server has told it (§3.11).
    """

    __slots__ = (
        "_board",
        "_device_id",
        "_staged",
        "firmware",
        "is_enabled",
        "is_forced",
        "pending",
        "storage",
        "troubles",
    )

    def __init__(
        self,
        device_id: str,
        board: Board,
        storage: Storage,
        firmware: Firmware | None,
        troubles: Troubles | None,
    ) -> None:
        self._device_id = device_id
        self._board = board
        self._staged: Firmware | None = None
        self.firmware = firmware
        self.storage = storage
        self.troubles = troubles
        self.is_enabled = True
        self.is_forced = False
        self.pending: bool | None = None

    def boot(self, board: Board) -> None:
        """The flags live until a reset."""
        self._board = board
        self.is_enabled = True
        self.is_forced = False
        self.pending = None

    def meet(self, phase: Phase, done: float = 0.0) -> UpdateFault | None:
        """What goes wrong in this phase, if anything does; the device may be gone then."""
        fault = None if self.troubles is None else self.troubles.meet(phase, done)
        # What takes its time goes right.
        return None if fault is not None and fault.trouble is Trouble.SLOW else fault

    def start(
        self,
        size: int,
        now: float,
        *,
        sha256: bytes | None = None,
        discards: bool = False,
        module_function: int | None = None,
    ) -> int:
        """Prepares for a file; returns how many bytes of it there are already.

        Raises DeviceOsError.
        """
        self.check(size)
        if module_function == ASSET:
            self._check_asset(size)
        elif self.firmware is not None and size > LARGEST_SHARED_BYTES and self._shares_memory:
            self.firmware = msgspec.structs.replace(self.firmware, assets=())
        try:
            return self.storage.begin(size, sha256, now, discards=discards)
        except FlashError as error:
            raise DeviceOsError(oserrors.FLASH_IO) from error

    def check(self, size: int) -> None:
        """Raises DeviceOsError when no update of this size is taken."""
        if not (self.is_enabled or self.is_forced):
            raise DeviceOsError(oserrors.UPDATES_DISABLED)
        if not 0 < size <= self._board.platform.max_binary_bytes:
            raise DeviceOsError(oserrors.INVALID_SIZE)

    def save(self, offset: int, data: bytes, received: int, now: float) -> None:
        """Keeps a chunk, with which the first `received` bytes are there. Raises DeviceOsError."""
        try:
            self.storage.write(offset, data, received, now)
        except FlashError as error:
            raise DeviceOsError(oserrors.FLASH_IO) from error

    def validate(self) -> None:
        """Looks at the file that has arrived. Raises DeviceOsError when it cannot be used."""
        file, board = self.storage.read(), self._board
        firmware = self.firmware or factory_firmware(self._device_id, board)
        if board.platform.gen:
            self._staged = install(file, board, firmware)
        else:
            self._staged = install_unchecked(file, board, firmware)
        if self._staged.body is not None:
            try:
                application = describe_application(read_image(self._staged.body))
                system = encode_system(self._device_id, board, self._staged)
                check_room(application, system, board)
            except (MalformedError, TooLongError) as error:
                raise DeviceOsError(oserrors.VALIDATION_FAILED) from error

    def install(self, now: float, *, in_vain: bool = False) -> bytes:
        """Puts the file to use that was found valid; it takes a restart to see it. Returns the
        SHA-256 of the file. `in_vain` everything stays as it was.

        Raises DeviceOsError: the file is another than was announced.
        """
        sha256, is_right = self.storage.digest(now)
        self.storage.clear()
        if not is_right or self._staged is None:
            raise DeviceOsError(oserrors.RESUMED_UPDATE_FAILED)
        if not in_vain:
            self.firmware = self._staged
        self._staged = None
        return sha256

    def told_hello(self) -> None:
        """The server has said Hello: that there was an update is no news any more (§3.2)."""
        if self.firmware is not None and self.firmware.is_news:
            self.firmware = msgspec.structs.replace(self.firmware, is_news=False)

    @property
    def _shares_memory(self) -> bool:
        return _ASSET_STORES.get(self._board.platform.name) is _SMALL_STORE

    def _check_asset(self, size: int) -> None:
        total, largest = _ASSET_STORES.get(self._board.platform.name, (0, 0))
        taken = 0
        if self.firmware is not None:
            needed = {asset.hash for asset in self.firmware.needed_assets}
            kept = (asset for asset in self.firmware.assets if asset.hash in needed)
            taken = sum(asset.storage_size for asset in kept)
        if size > largest or taken + size > total:
            raise DeviceOsError(oserrors.TOO_LARGE)
