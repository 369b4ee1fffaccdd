"""The small cloud of `world` on a real socket of the loopback, for many devices at a time."""

import asyncio
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cyan.wire import coap
from cyan.wire.dtls.record import connection_id_of
from cyan.wire.server_key import ServerKey, encode_server_key
from tests.sim.world import SERVER_KEY, Cloud

_HANDSHAKE_TYPE = 22


def server_key_file(port: int | None = None) -> bytes:
    """A padded key file as devices have it."""
    public_key = SERVER_KEY.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return encode_server_key(ServerKey(public_key, "127.0.0.1", port))


class UdpCloud(asyncio.DatagramProtocol):
    """Use as an asynchronous context manager. `clouds` has one for each handshake that began, in
    the order of their addresses' first datagrams; `kind` makes them."""

    def __init__(self, kind: type[Cloud] = Cloud) -> None:
        self.clouds: list[Cloud] = []
        self._kind = kind
        self.port = 0
        self._by_address: dict[tuple[str, int], Cloud] = {}
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> "UdpCloud":
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", self.port)
        )
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._transport is not None
        self._transport.close()
        # The transport closes its socket in the next turn of the loop.
        await asyncio.sleep(0)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        cloud = self._find(data, addr)
        if cloud is None or self._transport is None:
            return
        for answer in cloud.on_datagram(data, addr[1], time.monotonic()):
            self._transport.sendto(answer, addr)

    async def ask(
        self, cloud: Cloud, encode: Callable[[int], bytes], *, wait_s: float = 0.0
    ) -> list[coap.Message]:
        """Sends a request to the device of this cloud; returns what it says meanwhile."""
        assert self._transport is not None
        before = len(cloud.heard)
        self._transport.sendto(cloud.request(encode), ("127.0.0.1", cloud.heard[-1].port))
        await asyncio.sleep(wait_s)
        return cloud.messages()[before:]

    def heard_events(self) -> list[bytes]:
        """The data of all events of applications, in order for each device."""
        return [
            heard.message.payload
            for cloud in self.clouds
            for heard in cloud.heard
            if b"heartbeat" in heard.data
        ]

    def _find(self, data: bytes, addr: tuple[str, int]) -> Cloud | None:
        if data[0] == _HANDSHAKE_TYPE:
            if addr not in self._by_address:
                cloud = self._kind(first_connection_id=len(self.clouds) << 16)
                self.clouds.append(cloud)
                self._by_address[addr] = cloud
            return self._by_address[addr]
        connection_id = connection_id_of(data)
        return next(
            (
                cloud
                for cloud in self.clouds
                if cloud.records is not None and cloud.records.connection_id == connection_id
            ),
            None,
        )
