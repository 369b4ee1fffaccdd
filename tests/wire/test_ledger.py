"""Ledger messages. The bytes are laid out by hand after cloud.proto and ledger.proto of
device-os-protobuf and the encoding guide of protobuf; one is of device-protocol.md, appendix A."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.wire import coap, ledger
from cyan.wire.blockwise import SZX_1024, Block
from cyan.wire.errors import MalformedError
from cyan.wire.ledger import (
    GetData,
    GetInfo,
    Info,
    NotifyUpdate,
    Ref,
    Request,
    ResetInfo,
    Response,
    SetData,
    Stamped,
    Subscribe,
)
from cyan.wire.messages import (
    LedgerPost,
    decode_request,
    decode_server_request,
    encode_ledger_answer,
    encode_ledger_post,
)

STAMP = 0x0102030405060708
STAMP_BYTES = "0807060504030201"
PUMP = Ref("pump", b"\xaa\xbb")
PUMP_BYTES = "0a0470756d70" + "1202aabb"

REQUESTS: list[tuple[Request, str]] = [
    (GetInfo(("settings",)), "0801120a0a0873657474696e6773"),
    (SetData(PUMP, STAMP, b"\xa0"), "08021a16" + PUMP_BYTES + "19" + STAMP_BYTES + "5201a0"),
    (SetData(PUMP, None, b""), "08021a0c" + PUMP_BYTES + "5200"),
    (GetData(PUMP, None), "0803220a" + PUMP_BYTES),
    (GetData(PUMP, 0), "08032213" + PUMP_BYTES + "19" + "00" * 8),
    (Subscribe((PUMP,)), "08042a0c0a0a" + PUMP_BYTES),
    (Subscribe(()), "08042a00"),
    (NotifyUpdate((Stamped("pump", STAMP),)), "080532110a0f0a0470756d7011" + STAMP_BYTES),
    (ResetInfo(), "08063a00"),
]


@pytest.mark.parametrize(("request_", "expected"), REQUESTS)
def test_requests_are_laid_out_as_in_the_protocol(request_: Request, expected: str) -> None:
    assert ledger.encode_request(request_).hex() == expected
    assert ledger.decode_request(bytes.fromhex(expected)) == request_


def test_the_message_of_the_appendix_is_read() -> None:
    raw = bytes.fromhex("4102000631b14cff0801120a0a0873657474696e6773")
    post = decode_request(coap.decode(raw))
    assert isinstance(post, LedgerPost)
    assert ledger.decode_request(post.payload) == GetInfo(("settings",))
    assert encode_ledger_post(6, b"\x31", post) == raw


def test_answers_are_laid_out_as_in_the_protocol() -> None:
    info = Info("pump", b"\xaa\xbb", ledger.DEVICE_SCOPE, ledger.CLOUD_TO_DEVICE, STAMP)
    infos = ledger.encode_info([info])
    assert infos.hex() == "1a190a17" + PUMP_BYTES + "18012002" + "29" + STAMP_BYTES
    assert ledger.decode_response(ledger.GET_INFO, infos) == Response(infos=(info,))
    data = ledger.encode_data(STAMP, b"\xa0")
    assert data.hex() == "2a0c09" + STAMP_BYTES + "5201a0"
    assert ledger.decode_response(ledger.GET_DATA, data) == Response(
        last_updated=STAMP, data=b"\xa0"
    )
    assert ledger.encode_data(None, None).hex() == "2a00"
    assert ledger.encode_data_set().hex() == "2200"
    stamps = (Stamped("pump", STAMP), Stamped("pump", None))
    subscribed = ledger.encode_subscribed(stamps)
    listed = "0a0f0a0470756d7011" + STAMP_BYTES + "0a060a0470756d70"
    assert subscribed.hex() == "3219" + listed
    assert ledger.decode_response(ledger.SUBSCRIBE, subscribed) == Response(stamps=stamps)


def test_a_failure_has_its_number_in_zigzag() -> None:
    failure = ledger.encode_failure(ledger.SCOPE_CHANGED, "no")
    assert failure.hex() == "080812026e6f"
    assert ledger.decode_response(ledger.GET_DATA, failure).result == ledger.SCOPE_CHANGED
    assert ledger.decode_response(ledger.NOTIFY_UPDATE, bytes.fromhex("0803")).result == -2


def test_a_block_of_a_request_carries_its_tag() -> None:
    post = LedgerPost(b"x" * 1024, block=Block(1, True, SZX_1024), tag=b"\x01\x02\x03\x04")
    raw = encode_ledger_post(6, b"\x31", post)
    assert raw[:18].hex() == "4102000631" + "b14c" + "d1031e" + "d4fc01020304" + "ff78"
    assert decode_request(coap.decode(raw)) == post


def test_the_wish_for_a_block_is_read_though_its_path_is_not_its_first_option() -> None:
    post = LedgerPost(b"", wanted=Block(2, False, SZX_1024), etag=b"\xee" * 8)
    raw = encode_ledger_post(6, b"\x31", post)
    assert raw.hex() == "4102000631" + "48" + "ee" * 8 + "714c" + "c126"
    assert decode_request(coap.decode(raw)) == post


def test_an_answer_in_blocks_carries_etag_and_block() -> None:
    block = Block(0, True, SZX_1024)
    raw = encode_ledger_answer(6, b"\x31", coap.CHANGED, b"x", block=block, etag=b"\xee")
    assert raw.hex() == "6144000631" + "41ee" + "d1060e" + "ff78"


def test_a_device_reads_what_the_cloud_says() -> None:
    payload = ledger.encode_request(ResetInfo())
    raw = encode_ledger_post(6, b"\x31", LedgerPost(payload))
    assert decode_server_request(coap.decode(raw)) == LedgerPost(payload)


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "0807" + "4200",
        "0801" + "1202" + "0a00",
        "0801" + "1223" + "0a21" + "61" * 33,
        "0803" + "2204" + "0a01" + "61" + "19",
        "0803" + "2204" + "1202" + "aabb",
        "0803" + "2226" + "0a0161" + "1221" + "aa" * 33,
        "0803" + "2206" + "0a0161" + "1a0161",
        "0801" + "123f" + "0a0161" * 21,
    ],
)
def test_what_is_not_allowed_is_malformed(payload: str) -> None:
    with pytest.raises(MalformedError):
        ledger.decode_request(bytes.fromhex(payload))


def test_a_long_tag_is_malformed() -> None:
    message = coap.Message(
        coap.CON, coap.POST, 6, b"\x31", ((coap.ETAG, b"x" * 9), (coap.URI_PATH, b"L"))
    )
    with pytest.raises(MalformedError):
        decode_request(message)


@given(st.binary(max_size=64))
def test_any_bytes_give_a_request_or_are_malformed(data: bytes) -> None:
    try:
        request = ledger.decode_request(data)
    except MalformedError:
        return
    assert ledger.decode_request(ledger.encode_request(request)) == request
