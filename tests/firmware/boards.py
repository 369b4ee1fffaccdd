"""A small firmware link: boards that live in this process and take updates as firmware would."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from cyan.core.bus import Bus
from cyan.core.db.engine import Database
from cyan.core.ids import DeviceId
from cyan.core.ports import (
    DeviceBusyError,
    DeviceOfflineError,
    Image,
    UpdateCancelledError,
    UpdateInterruptedError,
    UpdateLimits,
    UpdateProgress,
    UpdateStage,
)
from cyan.devices import description
from cyan.devices.model import DeviceDescribed, DeviceStarted
from cyan.devices.presence import DeviceOffline, DeviceOnline, DeviceResumed
from cyan.devices.safemode import is_safe_mode
from cyan.firmware.images import ImageLostError, Images
from cyan.wire.describe import Asset, Module, SystemDescribe
from cyan.wire.describe.system import ASSET, SYSTEM_PART, USER_PART
from cyan.wire.module import decode_asset, decompress_module, parse_module

LIMITS = UpdateLimits(
    is_current=True, chunk_bytes=512, max_image_bytes=1_000_000, takes_compressed=False
)

Act = Callable[["Board", Image, UpdateProgress], None]
"""What a board does with a transfer in place of taking all of it; may raise."""


def refuse(error: Exception) -> Act:
    """It does not even begin."""

    def act(board: "Board", image: Image, on_progress: UpdateProgress) -> None:
        raise error

    return act


def break_off(after_bytes: int) -> Act:
    """The connection is lost when so many bytes have arrived."""

    def act(board: "Board", image: Image, on_progress: UpdateProgress) -> None:
        on_progress(UpdateStage.SENDING, 0)
        on_progress(UpdateStage.SENDING, after_bytes)
        raise UpdateInterruptedError("The connection was lost during the update.")

    return act


def fail_the_check(error: Exception) -> Act:
    """It has everything, and finds fault with it."""

    def act(board: "Board", image: Image, on_progress: UpdateProgress) -> None:
        on_progress(UpdateStage.SENDING, 0)
        on_progress(UpdateStage.CHECKING, len(image.data))
        raise error

    return act


def confirm_only(board: "Board", image: Image, on_progress: UpdateProgress) -> None:
    """It confirms, and does not restart."""
    on_progress(UpdateStage.SENDING, 0)
    on_progress(UpdateStage.CHECKING, len(image.data))
    board.confirmed = True


@dataclass
class Board:
    """One device. Without `acts` it takes every update, restarts and describes what it runs."""

    device_id: DeviceId
    bus: Bus
    db: Database
    platform_id: int = 13
    modules: dict[tuple[int, int], Module] = field(
        default_factory=lambda: {(SYSTEM_PART, 1): Module(SYSTEM_PART, 1, 6200)}
    )
    acts: deque[Act] = field(default_factory=deque)
    sent: list[bytes] = field(default_factory=list)
    assets: list[Asset] = field(default_factory=list)
    told: list[tuple[str, bytes | None]] = field(default_factory=list)
    is_online: bool = True
    confirmed: bool = False
    gate: asyncio.Event | None = None
    """While it is there and not set, a transfer stands still after its first byte."""

    @property
    def system(self) -> SystemDescribe:
        return SystemDescribe(tuple(self.modules.values()), assets=tuple(self.assets))

    def come_online(self) -> None:
        self.is_online = True
        self.bus.publish(DeviceOnline(self.device_id))

    def go_offline(self) -> None:
        self.is_online = False
        self.bus.publish(DeviceOffline(self.device_id, "silence"))

    def describe(self) -> None:
        system = self.system
        self.db.write_blocking(
            lambda connection: description.store_system(
                connection, self.device_id, system, self.platform_id
            )
        )
        self.bus.publish(DeviceDescribed(self.device_id, system, not is_safe_mode(system)))

    def restart(self) -> None:
        """With a new session, and what it says then."""
        self.come_online()
        self.describe()
        self.bus.publish(DeviceStarted(self.device_id, "update"))

    def resume(self) -> None:
        """Go on with its session, and say nothing."""
        self.bus.publish(DeviceResumed(self.device_id))

    def install(self, data: bytes) -> None:
        module = parse_module(data)
        if module.is_compressed and module.function != ASSET:
            module = parse_module(decompress_module(data))
        if module.function == ASSET:
            name, content = decode_asset(data)
            self.assets.append(Asset(sha256(content).digest(), name))
            return
        self.modules[(module.function, module.index)] = Module(
            module.function,
            module.index,
            module.version,
            hash=module.sha256 if module.function == USER_PART else None,
            dependencies=module.dependencies,
            asset_dependencies=module.assets,
        )


class Boards:
    """The port `cyan.core.ports.FirmwareLink` over boards."""

    def __init__(self, bus: Bus, db: Database) -> None:
        self._bus = bus
        self._db = db
        self.all: dict[DeviceId, Board] = {}
        self.limits: UpdateLimits = LIMITS
        self.asked: list[DeviceId] = []
        self._cancelled: dict[DeviceId, asyncio.Future[None]] = {}

    def add(self, device_id: DeviceId) -> Board:
        board = self.all[device_id] = Board(device_id, self._bus, self._db)
        return board

    def is_online(self, device_id: DeviceId) -> bool:
        board = self.all.get(device_id)
        return board is not None and board.is_online

    def tell(self, device_id: DeviceId, name: str, data: bytes | None) -> bool:
        if not self.is_online(device_id):
            return False
        self.all[device_id].told.append((name, data))
        return True

    async def update(self, device_id: DeviceId, image: Image, on_progress: UpdateProgress) -> None:
        if not self.is_online(device_id):
            raise DeviceOfflineError
        if device_id in self._cancelled:
            raise DeviceBusyError
        board = self.all[device_id]
        on_progress(UpdateStage.ASKING, 0)
        cancelled = self._cancelled[device_id] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.sleep(0)
            if board.acts:
                board.acts.popleft()(board, image, on_progress)
                return
            on_progress(UpdateStage.SENDING, 0)
            on_progress(UpdateStage.SENDING, 1)
            if board.gate is not None:
                waiting = asyncio.ensure_future(board.gate.wait())
                await asyncio.wait((waiting, cancelled), return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if cancelled.done():
                    raise UpdateCancelledError
            on_progress(UpdateStage.CHECKING, len(image.data))
            board.sent.append(bytes(image.data))
            board.install(bytes(image.data))
            asyncio.get_running_loop().call_soon(board.restart)
        finally:
            del self._cancelled[device_id]

    def cancel_update(self, device_id: DeviceId) -> bool:
        cancelled = self._cancelled.get(device_id)
        if cancelled is None:
            return False
        cancelled.set_result(None)
        return True

    def request_describe(self, device_id: DeviceId) -> None:
        self.asked.append(device_id)
        if self.is_online(device_id):
            self.all[device_id].describe()

    def update_limits(self, device_id: DeviceId) -> UpdateLimits | None:
        return self.limits if self.is_online(device_id) else None


class Shelf:
    """Files of firmware in memory, by SHA-256 in hex."""

    def __init__(self) -> None:
        self.all: dict[str, bytes] = {}
        self.real: Images | None = None
        """Where others are."""

    def put(self, data: bytes) -> str:
        name = sha256(data).hexdigest()
        self.all[name] = data
        return name

    async def open(self, sha256_hex: str) -> Image:
        if sha256_hex not in self.all:
            if self.real is not None:
                return await self.real.open(sha256_hex)
            raise ImageLostError
        data = self.all[sha256_hex]
        return Image(memoryview(data), bytes.fromhex(sha256_hex), parse_module(data).function)
