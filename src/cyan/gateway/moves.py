"""Sessions without connection id that go on from another address: first stored, then answered.

Firmware 3.0 and before marks its records until it hears from us; after that only the address tells
whose they are (device-protocol.md §1.4.6). If the server died between the answer and the commit of
the new address, nobody would know the device any more, and it would lose its session.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from cyan.gateway.datagrams import DatagramLink

Store = Callable[[list[DatagramLink], Callable[[bool], None]], None]


class Moves:
    """Holds back what is sent to a moved session until `store(links, then)` tells `then(True)`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._moved: dict[DatagramLink, None] = {}
        self._is_scheduled = False

    def add(self, link: DatagramLink) -> None:
        """Its address has just changed. All of one turn of the loop are stored together."""
        link.hold()
        self._moved[link] = None
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self.store)

    def store(self) -> None:
        """Store those that wait; called now and then, for what could not be stored before."""
        self._is_scheduled = False
        if self._moved:
            addresses = {link: link.address for link in self._moved}
            self._moved.clear()
            self._store(list(addresses), partial(self._on_stored, addresses))

    def _on_stored(self, addresses: dict[DatagramLink, bytes], ok: bool) -> None:
        for link, address in addresses.items():
            if not ok:
                self._moved[link] = None
            elif link.address == address:
                link.release()
