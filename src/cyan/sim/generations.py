"""What differs between the generations of Device OS that a simulated device can run.

Sources: device-protocol.md §0.2, §1.4.6, §2, §3, §4 and, where it says nothing, Device OS itself at
the release that `Generation.release` names.
"""

from enum import Enum
from typing import Final

import msgspec

from cyan.wire.messages import (
    COMPRESSED_OTA,
    DEVICE_INITIATED_DESCRIBE,
    DIAGNOSTICS,
    IMMEDIATE_UPDATES,
    KNOWS_GOODBYE,
    OTA_V3,
)


class Resumption(Enum):
    """How the first records of a resumed session look (device-protocol.md §1.4.6)."""

    TRAILER = "type 254 with the device id behind the record"
    ORDINARY_CID = "type 25, from a new address"
    MOVED_CID = "type 253"


class Describing(Enum):
    """Who begins a describe, and the form of its messages (§3.3.1)."""

    ON_REQUEST = "the server asks, the answer is inside the acknowledgement"
    WHOLE = "the device begins, without a token, in one message"
    IN_BLOCKS = "the device begins, with tokens, block-wise, one flag at a time"


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One generation of Device OS.

    `system_version` is how system modules number the release. `hello_flags` are those of every
    board, `gen3_flags` come in addition on Gen 3 and 4. The sizes are bytes: of a CoAP message, the
    data of an event, the argument of a function.
    """

    name: str
    release: str
    system_version: int
    hello_flags: int
    gen3_flags: int = 0
    describing: Describing
    resumption: Resumption
    max_message_bytes: int
    max_event_bytes: int
    max_argument_bytes: int
    hello_tells_sizes: bool = True
    """Hello has the system version and the sizes behind the device id (≥3.0, §3.2)."""
    has_protobuf_describe: bool = False
    """The system describe is protobuf (≥5.5), else JSON (§3.3.3)."""
    answers_variables_at_once: bool = False
    """The value stands in the acknowledgement, as describes of that time do (0.7)."""
    needs_token: bool = True
    """A function or variable request without a token ends the connection (≥1.x, §2.1)."""
    tells_update_flags: bool = True
    """The `particle/device/updates/…` events (≥1.2.1, §3.11)."""
    tells_ota_limits: bool = False
    """`spark/hardware/max_binary` and `ota_chunk_size` (<3.0, §3.11)."""
    asks_time_last: bool = True
    """The time request comes after the system events of the start, not before them."""
    tells_reset_on_resumption: bool = False
    """`spark/device/last_reset` also where a session is resumed, not only after a handshake."""
    system_subscriptions: tuple[str, ...] = ("particle", "spark")
    """Firmware's own, before those of the application (§3.7)."""
    subscribes_to_own: bool = True
    """Subscriptions carry the qualifier `u` (≤6.1, §3.7)."""
    subscribes_by_content: bool = False
    """Subscriptions tell with `b` or `c` what content the handler takes (6.2, §3.7)."""
    confirms_subscriptions: bool = True
    """Subscriptions are confirmable on TCP too (6.2 sends NON there, tcp-full-session.log)."""
    wifi_keep_alive_s: float = 25.0
    """Silence before a ping over UDP on Wi-Fi or Ethernet (§2.7)."""
    tcp_keep_alive_s: float = 15.0
    """The same on TCP: the protocol's own 15 s; 25 s where the system sets it (§1.3.3)."""

    @property
    def has_connection_id(self) -> bool:
        """Whether its DTLS sessions have a connection id (≥3.1)."""
        return self.resumption is not Resumption.TRAILER

    @property
    def describes_itself(self) -> bool:
        """Whether the device begins its describes, as its Hello says."""
        return self.describing is not Describing.ON_REQUEST

    @property
    def has_metrics(self) -> bool:
        """Whether there is a describe of vital signs (≥0.8)."""
        return bool(self.hello_flags & DIAGNOSTICS)

    @property
    def knows_goodbye(self) -> bool:
        """Whether it can announce that it disconnects (≥2.0)."""
        return bool(self.hello_flags & KNOWS_GOODBYE)


_SINCE_1: Final = DIAGNOSTICS | IMMEDIATE_UPDATES
_SINCE_2: Final = _SINCE_1 | KNOWS_GOODBYE | DEVICE_INITIATED_DESCRIBE
_SINCE_3: Final = COMPRESSED_OTA | OTA_V3

NEWEST: Final = "6.2"

GENERATIONS: Final = {
    generation.name: generation
    for generation in (
        Generation(
            name="0.7",
            release="v0.7.0",
            system_version=207,
            hello_flags=0,
            describing=Describing.ON_REQUEST,
            resumption=Resumption.TRAILER,
            max_message_bytes=800,
            max_event_bytes=255,
            max_argument_bytes=63,
            hello_tells_sizes=False,
            answers_variables_at_once=True,
            needs_token=False,
            tells_update_flags=False,
            tells_ota_limits=True,
            system_subscriptions=("spark",),
            subscribes_to_own=False,
        ),
        Generation(
            name="1.5",
            release="v1.5.2",
            system_version=1512,
            hello_flags=_SINCE_1,
            describing=Describing.ON_REQUEST,
            resumption=Resumption.TRAILER,
            max_message_bytes=800,
            max_event_bytes=622,
            max_argument_bytes=622,
            hello_tells_sizes=False,
            tells_ota_limits=True,
            system_subscriptions=("spark", "particle"),
            wifi_keep_alive_s=30.0,
        ),
        Generation(
            name="2.3",
            release="v2.3.1",
            system_version=2302,
            hello_flags=_SINCE_2,
            gen3_flags=COMPRESSED_OTA,
            describing=Describing.WHOLE,
            resumption=Resumption.TRAILER,
            max_message_bytes=800,
            max_event_bytes=622,
            max_argument_bytes=622,
            hello_tells_sizes=False,
            tells_ota_limits=True,
        ),
        Generation(
            name="3.0",
            release="v3.0.0",
            system_version=3005,
            hello_flags=_SINCE_2,
            gen3_flags=_SINCE_3,
            describing=Describing.WHOLE,
            resumption=Resumption.TRAILER,
            max_message_bytes=1152,
            max_event_bytes=1024,
            max_argument_bytes=1024,
            system_subscriptions=("spark", "particle"),
        ),
        Generation(
            name="3.3",
            release="v3.3.1",
            system_version=3302,
            hello_flags=_SINCE_2,
            gen3_flags=_SINCE_3,
            describing=Describing.IN_BLOCKS,
            resumption=Resumption.ORDINARY_CID,
            max_message_bytes=1152,
            max_event_bytes=1024,
            max_argument_bytes=1024,
        ),
        Generation(
            name="4.2",
            release="v4.2.0",
            system_version=4200,
            hello_flags=_SINCE_2,
            gen3_flags=_SINCE_3,
            describing=Describing.IN_BLOCKS,
            resumption=Resumption.MOVED_CID,
            max_message_bytes=1152,
            max_event_bytes=1024,
            max_argument_bytes=1024,
        ),
        Generation(
            name="5.4",
            release="v5.4.1",
            system_version=5410,
            hello_flags=_SINCE_2,
            gen3_flags=_SINCE_3,
            describing=Describing.IN_BLOCKS,
            resumption=Resumption.MOVED_CID,
            max_message_bytes=1152,
            max_event_bytes=1024,
            max_argument_bytes=1024,
        ),
        Generation(
            name=NEWEST,
            release="v6.2.0",
            system_version=6200,
            hello_flags=_SINCE_2,
            gen3_flags=_SINCE_3,
            describing=Describing.IN_BLOCKS,
            resumption=Resumption.MOVED_CID,
            max_message_bytes=1152,
            max_event_bytes=1024,
            max_argument_bytes=1024,
            has_protobuf_describe=True,
            asks_time_last=False,
            tells_reset_on_resumption=True,
            subscribes_to_own=False,
            subscribes_by_content=True,
            confirms_subscriptions=False,
            tcp_keep_alive_s=25.0,
        ),
    )
}
"""By name, oldest first."""
