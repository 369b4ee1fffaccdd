"""Reads the captured sessions in `tests/wire/vectors/` (their README says what they are)."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("vectors")

SERVER_PUBLIC_KEY = bytes.fromhex(
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004dd027c159f708ea5abd3a9212065bf44f45725f5"
    "da5fd6fc38ea37cb0f1645d1533b0a4c9dce8f307fa90e1acbee49bbf1cbb5dcccf378a1f1247ff70ba88bb2"
)
"""SubjectPublicKeyInfo of the test cloud's P-256 key, the same in every UDP log."""

WITH_MASTER_SECRET = (
    "udp-with-master-secret.log",
    "udp-claim-code-keys.log",
    "udp-resume-keys.log",
    "udp-ota3-lossy-keys.log",
)
WITH_DATAGRAMS = (
    *WITH_MASTER_SECRET,
    "udp-full-session.log",
    "udp-session-resume.log",
    "udp-idle-keepalive.log",
)
UDP_LOGS = (*WITH_DATAGRAMS, "udp-claim-code.log", "udp-safe-mode.log", "udp-ota3-lossy.log")
TCP_WITH_KEYS = "tcp-with-keys.log"
TCP_LOGS = (TCP_WITH_KEYS, "tcp-full-session.log", "tcp-idle-keepalive.log", "tcp-ota1.log")
LOGS = (*UDP_LOGS, *TCP_LOGS)

_TYPES = {"CON": 0, "NON": 1, "ACK": 2, "RST": 3}
_OPTION_NUMBERS = {"Uri-Path": 11, "Content-Format": 12, "Uri-Query": 15}
_URI_PATH = 11
_COAP_LINE = re.compile(
    r"(?P<type>CON|NON|ACK|RST) (?P<class>\d)\.(?P<detail>\d\d) mid=(?P<mid>\d+) "
    r"tok=(?P<token>[0-9a-f]*) \[(?P<options>.*)\] "
    r"payload\((?P<length>\d+)\)=(?P<payload>[0-9a-f]*) b['\"]"
)
_HANDSHAKE_LINE = re.compile(r"nonce_ok=True id=([0-9a-f]{24}) key\(162\)=([0-9a-f]{324})$")
_OPTION = re.compile(r"""([\w-]+)=('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")(?: |$)""")


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a log: seconds since its start, the kind (first word), the rest."""

    at_s: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class CoapLine:
    """A decoded RX (from the device) or TX (from the cloud) line; `code` is the CoAP code byte."""

    at_s: float
    from_device: bool
    type: int
    code: int
    message_id: int
    token: bytes
    options: tuple[tuple[int, bytes], ...]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Datagram:
    """A RAWRX (from the device) or RAWTX (from the cloud) line; in a TCP log it is one frame."""

    at_s: float
    from_device: bool
    data: bytes


def load(name: str) -> list[Record]:
    """Every line of the log `name` (for instance `udp-full-session.log`), in order.

    In a TCP log a record of kind `===` begins each connection, whose seconds count anew.
    """
    records = []
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("==="):
            records.append(Record(0.0, *line.split(" ", 1)))
            continue
        seconds, kind, *rest = line.strip().split(" ", 2)
        records.append(Record(float(seconds), kind, rest[0] if rest else ""))
    return records


def datagrams(name: str) -> list[Datagram]:
    """The raw datagrams of a log of `WITH_DATAGRAMS` or the frames of `TCP_WITH_KEYS`, in order."""
    return [
        Datagram(record.at_s, record.kind == "RAWRX", bytes.fromhex(record.text))
        for record in load(name)
        if record.kind in ("RAWRX", "RAWTX")
    ]


def master_secrets(name: str) -> list[bytes]:
    """The master secrets of a log of `WITH_MASTER_SECRET`, one a handshake, in order."""
    return [bytes.fromhex(record.text) for record in load(name) if record.kind == "MASTER"]


def client_keys(name: str) -> list[bytes]:
    """The device's SubjectPublicKeyInfo (91 bytes), one a handshake, in order."""
    return [bytes.fromhex(record.text) for record in load(name) if record.kind == "CLIENTKEY"]


def coap_lines(name: str) -> list[CoapLine]:
    """The decoded CoAP messages of a log, both directions, in order."""
    return [coap_line(record) for record in load(name) if record.kind in ("RX", "TX")]


def coap_line(record: Record) -> CoapLine:
    """Decodes one RX or TX record."""
    match = _COAP_LINE.match(record.text)
    if match is None:
        raise ValueError(f"not a CoAP line: {record.text[:80]!r}")
    payload = bytes.fromhex(match["payload"])
    if len(payload) != int(match["length"]):
        raise ValueError(f"payload length differs: {record.text[:80]!r}")
    return CoapLine(
        at_s=record.at_s,
        from_device=record.kind == "RX",
        type=_TYPES[match["type"]],
        code=int(match["class"]) << 5 | int(match["detail"]),
        message_id=int(match["mid"]),
        token=bytes.fromhex(match["token"]),
        options=_options(match["options"]),
        payload=payload,
    )


@dataclass(frozen=True, slots=True)
class TcpConnection:
    """One connection of a TCP log: what its handshake told, and its messages in order."""

    device_id: bytes
    device_key: bytes
    salt: bytes
    lines: list[CoapLine]


def tcp_connections(name: str) -> list[TcpConnection]:
    """The connections of a log of `TCP_LOGS`."""
    connections: list[TcpConnection] = []
    handshake: re.Match[str] | None = None
    for record in load(name):
        if record.kind == "handshake":
            handshake = _HANDSHAKE_LINE.search(record.text)
        elif record.kind == "salt" and handshake is not None:
            device_id, key = (bytes.fromhex(text) for text in handshake.groups())
            connections.append(TcpConnection(device_id, key, bytes.fromhex(record.text), []))
        elif record.kind in ("RX", "TX"):
            connections[-1].lines.append(coap_line(record))
    return connections


def tcp_secrets() -> dict[str, bytes]:
    """What TCP_WITH_KEYS tells of its handshake, by kind of line; keys are PKCS#1 in DER."""
    kinds = ("SERVERKEY", "DEVICEKEY", "NONCE", "REQUEST", "SESSION", "RESPONSE")
    return {
        record.kind: bytes.fromhex(record.text)
        for record in load(TCP_WITH_KEYS)
        if record.kind in kinds
    }


def client_hellos() -> list[bytes]:
    """The ClientHello datagrams of `clienthello-and-retransmits.txt`: the first has no cookie."""
    text = (FOLDER / "clienthello-and-retransmits.txt").read_text(encoding="utf-8")
    return [bytes.fromhex(line) for line in text.splitlines() if line.startswith("16fefd")]


def _options(text: str) -> tuple[tuple[int, bytes], ...]:
    options = []
    position = 0
    while position < len(text):
        match = _OPTION.match(text, position)
        if match is None:
            raise ValueError(f"not a list of options: {text!r}")
        name, literal = match.groups()
        number = _OPTION_NUMBERS[name] if name in _OPTION_NUMBERS else int(name)
        options.append((number, _option_value(number, ast.literal_eval(literal))))
        position = match.end()
    return tuple(options)


def _option_value(number: int, text: str) -> bytes:
    """Undoes the logs' rule: printable ASCII stands as text, anything else as hex."""
    if number != _URI_PATH and re.fullmatch("(?:[0-9a-f]{2})+", text):
        value = bytes.fromhex(text)
        if not (value.isascii() and value.decode().isprintable()):
            return value
    return text.encode()
