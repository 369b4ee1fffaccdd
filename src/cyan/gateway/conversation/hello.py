"""Hello: who the device says it is (device-protocol.md §3.2)."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from cyan.core.ids import DeviceId
from cyan.devices import description, presence
from cyan.devices.presence import PresenceRow
from cyan.gateway import store
from cyan.gateway.conversation import describe
from cyan.gateway.effects import Admit, Arrive, Effect, Emit, End, Greet, Save
from cyan.gateway.session import Session, without_id
from cyan.wire.messages import DEVICE_ID_BYTES, Hello

STATUS_EVENT = "spark/status"

GEN_2_PLATFORMS: Final = frozenset({6, 8, 10})
"""photon, p1, electron: our Hello makes them clear the mark of their last update (§3.2). Over TCP
every device waits for it."""


def on_hello(session: Session, hello: Hello) -> Sequence[Effect]:
    """The key is proved, the id is not: it is compared before anything else happens."""
    if len(hello.device_id) != DEVICE_ID_BYTES:
        return (End("Hello without a device id"),)
    if session.device_id is not None and session.device_id != hello.device_id.hex():
        return (End("Hello with another device id than before"),)
    return (Admit(hello),)


def on_admitted(
    session: Session,
    device_id: DeviceId,
    hello: Hello,
    *,
    was_online: bool,
    row: PresenceRow,
) -> Sequence[Effect]:
    """Keep what Hello says, and that the device is here (`row`), then acknowledge it.

    Describes and subscriptions begin anew: a device sends Hello on a resumed session only when it
    has cleared what it believed of them (§4.2).
    """
    session.device_id = device_id
    session.hello = without_id(hello)
    session.set_system_version()
    session.told_safe_mode = False
    session.has_system = session.has_application = False
    session.subscriptions = ()
    keep = partial(
        description.store_hello,
        device_id=device_id,
        platform_id=hello.platform_id,
        product_id=hello.product_id,
        product_version=hello.product_version,
        system_version=hello.system_version,
        at_ms=row.last_handshake_ms,
        ip_address=row.ip_address,
        max_message_bytes=hello.max_message_size,
        max_binary_bytes=hello.max_binary_size,
        ota_chunk_bytes=hello.ota_chunk_size,
    )
    # A device that comes back without a noticed end: offline just before online
    # (platform-semantics.md §6.5).
    offline = (Emit(STATUS_EVENT, "offline"),) if was_online else ()
    newest = partial(store.remove_others, device_id=device_id, connection_id=session.connection_id)
    present = partial(presence.store, rows=(row,))
    after: list[Effect] = [*offline, Arrive(row), Emit(STATUS_EVENT, "online")]
    if session.is_stream or hello.platform_id in GEN_2_PLATFORMS:
        after.insert(0, Greet())
    after += describe.still_to_ask(session)
    return (Save((keep, newest, present), after=tuple(after)),)
