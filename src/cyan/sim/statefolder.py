"""Keeps a fleet's seed, sessions and firmware in a folder, so that the same devices come back.

`seed` is a line of text; `<device id>.json` is a `StoredDevice`, `<device id>.update` is what has
arrived of an update, while there is one. A session is written down ahead of
its use, a block of sequence numbers at a time, as if all of the block had been used: a killed
simulator skips numbers and never uses one twice. A graceful end writes the exact ones.
"""

import fcntl
import os
import secrets
import time
from pathlib import Path
from typing import Final

import msgspec

from cyan.sim.device import Device
from cyan.sim.firmware import Firmware
from cyan.sim.flash import Partial
from cyan.sim.session import StoredDevice, Synced
from cyan.wire.dtls.record import DeviceRecords

BLOCK: Final = 1024
"""Sequence numbers (and so messages) that one write covers."""

_SEED_FILE: Final = "seed"
_LOCK_FILE: Final = "lock"
_SEED_BYTES: Final = 8

LOCK_WAIT_S: Final = 5.0
LOCK_STEP_S: Final = 0.05


class StateInUseError(Exception):
    """Another simulator uses this state folder; two would share sessions."""


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Written(msgspec.Struct):
    records: DeviceRecords | None = None
    synced: Synced | None = None
    limit: int = 0
    firmware: Firmware | None = None
    partial: Partial | None = None


class StateFolder:
    """An open state folder. With `factory_reset` the firmware in it counts for nothing: devices run
    what their boards came with.

    Raises StateInUseError when another process has it open and keeps it open for LOCK_WAIT_S: one
    whose server was killed needs a moment to notice.
    """

    def __init__(self, path: Path, *, factory_reset: bool = False) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._factory_reset = factory_reset
        self._written: dict[str, _Written] = {}
        self._lock = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        end = time.monotonic() + LOCK_WAIT_S
        while not _is_locked(self._lock):
            if time.monotonic() > end:
                os.close(self._lock)
                raise StateInUseError(f"another simulator uses {path}")
            time.sleep(LOCK_STEP_S)

    def close(self) -> None:
        """Lets others use the folder."""
        os.close(self._lock)

    def load(self, device_id: str) -> StoredDevice | None:
        """What was written down; None when nothing was, or nothing that can be read."""
        try:
            text = self._file(device_id).read_bytes()
            stored = msgspec.json.decode(text, type=StoredDevice)
        except (FileNotFoundError, msgspec.DecodeError):
            # A session is only a short cut: without it the device makes a handshake.
            return None
        if self._factory_reset:
            return msgspec.structs.replace(stored, firmware=None, partial=None)
        written = self._written.setdefault(device_id, _Written())
        written.firmware, written.partial = stored.firmware, stored.partial
        return stored

    def keep(self, device: Device) -> None:
        """Writes the device down if it has come to where the last write does not reach."""
        written = self._written.setdefault(device.identity.device_id, _Written())
        session = device.session
        if (
            device.updater.firmware is not written.firmware
            or device.updater.storage.partial is not written.partial
        ):
            self._write(device, written, ahead=2 * BLOCK)
        elif session is None:
            if written.records is not None:
                self._write(device, written, ahead=BLOCK)
        elif (
            session.records is not written.records
            or session.synced is not written.synced
            or session.records.send_sequence >= written.limit
        ):
            self._write(device, written, ahead=2 * BLOCK)

    def keep_exactly(self, device: Device) -> None:
        """Writes the device down as it is, when it has come to its end."""
        self._write(device, _Written(), ahead=0)

    def _write(self, device: Device, written: _Written, ahead: int) -> None:
        session = device.session
        written.firmware = device.updater.firmware
        written.partial = device.updater.storage.partial
        if session is None:
            written.records = written.synced = None
        else:
            written.records = session.records
            written.synced = session.synced
            # One block before what is written down: what is sent in between is covered too.
            written.limit = session.records.send_sequence + ahead - BLOCK
        _replace(self._file(device.identity.device_id), msgspec.json.encode(device.store(ahead)))

    def _file(self, device_id: str) -> Path:
        return self._path / f"{device_id}.json"


def read_seed(folder: Path | None, seed: str | None) -> str:
    """The seed to use: the given one, else the folder's, else a fresh one; the folder keeps it."""
    if folder is None:
        return seed or secrets.token_hex(_SEED_BYTES)
    file = folder / _SEED_FILE
    if seed is None and file.exists():
        return file.read_text(encoding="utf-8").strip()
    seed = seed or secrets.token_hex(_SEED_BYTES)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _replace(file, f"{seed}\n".encode())
    return seed


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)
