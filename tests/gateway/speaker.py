"""What a board of either transport says, word for word as a test wants it, and what it gets."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from cyan.core.ids import DeviceId
from cyan.wire import coap
from cyan.wire.describe import (
    ApplicationDescribe,
    Module,
    SystemDescribe,
    encode_application,
    encode_system_protobuf,
)
from cyan.wire.describe.system import SYSTEM_PART
from cyan.wire.messages import (
    APPLICATION,
    DEVICE_INITIATED_DESCRIBE,
    SYSTEM,
    DescribePost,
    Hello,
    Publish,
    Subscribe,
    encode_describe_post,
    encode_publish,
    encode_subscribe,
)
from tests.gateway.world import World

FUNCTIONS = ("led", "brew")
VARIABLES = {"answer": 2, "greeting": 4}

Respond = Callable[[coap.Message], Iterable[bytes]]
"""What is said at once to a message of the server."""


class Speaker(ABC):
    """The device number `index`. `messages` are what it got, `raw` the same before decoding."""

    def __init__(self, world: World, index: int, *, platform_id: int, respond: Respond) -> None:
        self.world = world
        self.device_id = DeviceId(f"e00fce68{index:016x}")
        self.platform_id = platform_id
        self.flags = DEVICE_INITIATED_DESCRIBE
        self.next_id = 1
        self.next_token = 0x30
        self.max_message_size = 1152
        self.messages: list[coap.Message] = []
        self.raw: list[bytes] = []
        self.respond = respond

    @abstractmethod
    def transmit(self, message: bytes) -> bytes:
        """Protect and send one message; the bytes that left."""

    @abstractmethod
    async def say_hello(self) -> coap.Message | None:
        """Hello, and what the server says to it."""

    def hear(self, content: bytes) -> None:
        """A message of the server came."""
        message = coap.decode(content)
        self.messages.append(message)
        self.raw.append(content)
        for answer in self.respond(message):
            self.transmit(answer)

    # -- saying things -------------------------------------------------------------------------

    def take_id(self) -> int:
        message_id = self.next_id
        self.next_id = (message_id + 1) & 0xFFFF
        return message_id

    def take_token(self) -> bytes:
        self.next_token = (self.next_token + 1) & 0xFF
        return bytes((self.next_token,))

    async def say(self, build: Callable[[int], bytes]) -> coap.Message | None:
        """Send a message under the next id; what answered it, if anything did."""
        message_id = self.take_id()
        self.transmit(build(message_id))
        await self.world.settle()
        return self.answer_to(message_id)

    def answer_to(self, message_id: int) -> coap.Message | None:
        """The last acknowledgement or reset of one of its messages."""
        found = [
            message
            for message in self.messages
            if message.type in (coap.ACK, coap.RST) and message.message_id == message_id
        ]
        return found[-1] if found else None

    def hello_message(self) -> Hello:
        return Hello(
            product_id=self.platform_id,
            product_version=0xFFFF,
            flags=self.flags,
            platform_id=self.platform_id,
            device_id=bytes.fromhex(self.device_id),
            system_version=6200,
            max_message_size=self.max_message_size,
            max_binary_size=1_536_000,
            ota_chunk_size=512,
        )

    async def describe(self) -> coap.Message | None:
        """Its functions and variables."""
        payload = encode_application(ApplicationDescribe(FUNCTIONS, VARIABLES))
        post = DescribePost(APPLICATION, payload)
        token = self.take_token()
        return await self.say(lambda id_: encode_describe_post(id_, token, post))

    async def describe_modules(self) -> coap.Message | None:
        """A system describe of one module."""
        payload = encode_system_protobuf(SystemDescribe((Module(SYSTEM_PART, 1, 6200),)))
        post = DescribePost(SYSTEM, payload, coap.OCTET_STREAM)
        token = self.take_token()
        return await self.say(lambda id_: encode_describe_post(id_, token, post))

    async def publish(self, name: str = "temperature", data: bytes = b"21") -> coap.Message | None:
        return await self.say(lambda id_: encode_publish(id_, Publish(name, data)))

    async def subscribe(self, prefix: str) -> coap.Message | None:
        return await self.say(lambda id_: encode_subscribe(id_, Subscribe(prefix)))

    async def ping(self) -> coap.Message | None:
        return await self.say(coap.encode_ping)

    # -- what it got ---------------------------------------------------------------------------

    def requests(self) -> list[coap.Message]:
        """Messages of the server that ask or tell something."""
        return [m for m in self.messages if m.type <= coap.NON and coap.EMPTY < m.code < 0x40]

    def requests_for(self, path: bytes) -> list[coap.Message]:
        """Those whose path begins with this letter."""
        return [m for m in self.requests() if m.options[:1] == ((coap.URI_PATH, path),)]

    def event_names(self) -> list[str]:
        """The names of the events that reached it, again ones included."""
        return [
            b"/".join(value for number, value in m.options[1:] if number == coap.URI_PATH).decode()
            for m in self.requests()
            if m.options and m.options[0] in ((coap.URI_PATH, b"E"), (coap.URI_PATH, b"e"))
        ]
