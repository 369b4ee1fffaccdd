"""Records on their own: literal vectors, replay, moving, restored sessions, bounds, garbage."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyan.wire.dtls.record import (
    ALERT,
    ALL_RECEIVED,
    APPLICATION_DATA,
    CID,
    HANDSHAKE,
    MAX_CONTENT_BYTES,
    MAX_RECORDS_PER_DATAGRAM,
    MAX_SEQUENCE,
    MOVED,
    MOVED_CID,
    DeviceRecords,
    Keys,
    ServerRecords,
    connection_id_of,
    plaintext_record,
    split_moved,
    split_records,
)
from cyan.wire.errors import MalformedError, MisuseError

ID = bytes.fromhex("a1a2a3a4a5a6a7a8")
VECTOR_KEYS = Keys(bytes(range(16)), bytes(range(16)), b"\x10\x11\x12\x13", b"\x10\x11\x12\x13")
"""device-protocol.md §1.4.3, as are the two records; they come from another implementation."""
DEVICE_RECORD = bytes.fromhex(
    "19fefd0001000000000002a1a2a3a4a5a6a7a80020"
    "00010000000000021558ecb58e5ebf6e9d36857a40415e66e19f2c72234d8268"
)
SERVER_RECORD = bytes.fromhex("17fefd000100000000000100140001000000000001efd518e86a8c9da12b6e72d2")
EMPTY_CON = bytes.fromhex("40000002")
EMPTY_ACK = bytes.fromhex("60000002")
DEVICE_ID = bytes.fromhex("0123456789abcdef01234567")
KEYS = Keys(b"c" * 16, b"s" * 16, b"cciv", b"ssiv")


def pair() -> tuple[ServerRecords, DeviceRecords]:
    return ServerRecords(KEYS, ID), DeviceRecords(KEYS, ID)


def test_the_devices_vector_opens_and_is_sealed_to_the_byte() -> None:
    assert ServerRecords(VECTOR_KEYS, ID).open(DEVICE_RECORD) == (APPLICATION_DATA, EMPTY_CON)
    assert DeviceRecords(VECTOR_KEYS, ID, send_sequence=2).seal_data(EMPTY_CON) == DEVICE_RECORD


def test_the_servers_vector_opens_and_is_sealed_to_the_byte() -> None:
    assert DeviceRecords(VECTOR_KEYS, ID).open(SERVER_RECORD) == (APPLICATION_DATA, EMPTY_ACK)
    assert ServerRecords(VECTOR_KEYS, ID, send_sequence=1).seal_data(EMPTY_ACK) == SERVER_RECORD


@given(content=st.binary(max_size=64), content_type=st.sampled_from([ALERT, HANDSHAKE]))
def test_any_content_arrives_with_its_type_in_both_directions(
    content: bytes, content_type: int
) -> None:
    server, device = pair()
    assert server.open(device.seal(content_type, content)) == (content_type, content)
    assert device.open(server.seal(content_type, content)) == (content_type, content)
    assert server.open(device.seal_data(content)) == (APPLICATION_DATA, content)
    assert device.open(server.seal_data(content)) == (APPLICATION_DATA, content)


def test_a_moving_device_marks_its_records_until_it_has_opened_one() -> None:
    server = ServerRecords(KEYS, ID)
    device = DeviceRecords(KEYS, ID, send_sequence=9, moving=True)
    first, second = device.seal_data(b"one"), device.seal_data(b"two")
    assert [first[0], second[0]] == [MOVED_CID, MOVED_CID]
    assert connection_id_of(first) == ID
    assert server.open(first) == (APPLICATION_DATA, b"one")
    assert server.open(second) == (APPLICATION_DATA, b"two")
    assert device.open(server.seal_data(b"answer")) == (APPLICATION_DATA, b"answer")
    assert device.seal_data(b"three")[0] == CID


def pair_without_id() -> tuple[ServerRecords, DeviceRecords]:
    """Firmware before 3.1."""
    server = ServerRecords(KEYS, ID, has_connection_id=False)
    return server, DeviceRecords(KEYS, b"", device_id=DEVICE_ID)


def test_ordinary_records_go_both_ways_where_there_is_no_connection_id() -> None:
    # What one direction has under its key, the other has too: SERVER_RECORD is the witness of both.
    device = DeviceRecords(VECTOR_KEYS, b"", send_sequence=1)
    assert device.seal_data(EMPTY_ACK) == SERVER_RECORD
    server = ServerRecords(VECTOR_KEYS, ID, has_connection_id=False)
    assert server.open(SERVER_RECORD) == (APPLICATION_DATA, EMPTY_ACK)
    assert server.open(SERVER_RECORD) is None


@given(
    content=st.binary(max_size=64),
    content_type=st.sampled_from([APPLICATION_DATA, ALERT, HANDSHAKE]),
)
def test_any_content_arrives_where_there_is_no_connection_id(
    content: bytes, content_type: int
) -> None:
    server, device = pair_without_id()
    assert server.open(device.seal(content_type, content)) == (content_type, content)
    assert device.open(server.seal(content_type, content)) == (content_type, content)


def test_neither_form_opens_in_a_session_of_the_other() -> None:
    with_id, device = pair()
    without_id, old_device = pair_without_id()
    assert (with_id.has_connection_id, without_id.has_connection_id) == (True, False)
    assert with_id.open(old_device.seal_data(b"x" * 20)) is None
    assert without_id.open(device.seal_data(b"x" * 20)) is None
    assert (with_id.highest_received, without_id.highest_received) == (-1, -1)


def test_an_old_moving_device_puts_its_id_behind_its_data_until_it_has_opened_a_record() -> None:
    server, device = pair_without_id()
    device.moving = True
    datagram = device.seal_data(b"one")
    # device-protocol.md §1.4.6: 254 in place of 23, the id and 0c behind the record.
    assert datagram[0] == MOVED == 254
    assert datagram.endswith(DEVICE_ID + b"\x0c")
    moved = split_moved(datagram)
    assert moved == (DEVICE_ID, b"\x17" + datagram[1:-13])
    assert server.open(moved[1]) == (APPLICATION_DATA, b"one")
    # Firmware 2.3.1 marks nothing but data.
    alert = device.seal(ALERT, b"\x01\x00")
    assert split_moved(alert) is None
    assert server.open(alert) == (ALERT, b"\x01\x00")
    assert device.open(server.seal_data(b"answer")) == (APPLICATION_DATA, b"answer")
    assert device.seal_data(b"two")[0] == APPLICATION_DATA


def test_an_old_device_cannot_move_without_its_id() -> None:
    device = DeviceRecords(KEYS, b"", moving=True)
    with pytest.raises(MisuseError):
        device.seal_data(b"x")
    assert device.send_sequence == 0
    with pytest.raises(MisuseError):
        DeviceRecords(KEYS, b"", device_id=DEVICE_ID[:-1])


def test_a_moved_datagram_is_whole_or_nothing() -> None:
    device = DeviceRecords(KEYS, b"", moving=True, device_id=DEVICE_ID)
    datagram = device.seal_data(b"")
    assert split_moved(datagram) is not None
    for index in (0, 1, 2, 3, 4, 11, 12, len(datagram) - 1):
        changed = bytearray(datagram)
        changed[index] ^= 1
        assert split_moved(bytes(changed)) is None
    for end in range(len(datagram)):
        assert split_moved(datagram[:end]) is None
    assert split_moved(datagram + b"\x0c") is None
    assert split_moved(DEVICE_RECORD) is None


def test_a_replayed_record_is_refused_whatever_its_outer_type() -> None:
    server, device = pair()
    record = device.seal_data(b"once")
    assert server.open(record) is not None
    assert server.open(record) is None
    assert server.open(b"\xfd" + record[1:]) is None


def test_records_out_of_order_are_taken_inside_the_window_and_refused_behind_it() -> None:
    server, device = pair()
    records = [device.seal_data(bytes([n])) for n in range(66)]
    assert server.open(records[65]) is not None
    assert server.open(records[2]) == (APPLICATION_DATA, b"\x02")
    assert server.open(records[2]) is None
    assert server.open(records[1]) is None
    assert server.open(records[64]) == (APPLICATION_DATA, b"\x40")
    assert (server.highest_received, server.replay_window) == (65, 1 << 63 | 0b11)


def test_a_jump_past_the_window_forgets_what_was_before() -> None:
    server, device = pair()
    old = device.seal_data(b"old")
    device.send_sequence = 64
    assert server.open(device.seal_data(b"new")) is not None
    assert (server.highest_received, server.replay_window) == (64, 1)
    assert server.open(old) is None


@pytest.mark.parametrize("make", [pair, pair_without_id])
def test_a_forged_record_changes_nothing(
    make: Callable[[], tuple[ServerRecords, DeviceRecords]],
) -> None:
    server, device = make()
    device.send_sequence = 500
    record = device.seal_data(b"payload")
    for index in range(len(record)):
        forged = bytearray(record)
        forged[index] ^= 1
        assert server.open(bytes(forged)) is None
    assert (server.highest_received, server.replay_window) == (-1, ALL_RECEIVED)
    assert server.open(record) == (APPLICATION_DATA, b"payload")


def test_a_forged_server_record_changes_nothing() -> None:
    server, device = pair()
    device.moving = True
    record = server.seal_data(b"payload")
    for index in range(len(record)):
        forged = bytearray(record)
        forged[index] ^= 1
        assert device.open(bytes(forged)) is None
    assert device.moving
    assert device.open(record) == (APPLICATION_DATA, b"payload")


def test_a_record_of_another_session_is_refused() -> None:
    _, device = pair()
    record = device.seal_data(b"mine")
    assert ServerRecords(KEYS, b"8 others").open(record) is None
    other = Keys(b"C" * 16, KEYS.server_write_key, KEYS.client_write_iv, KEYS.server_write_iv)
    assert ServerRecords(other, ID).open(record) is None


def test_an_authentic_record_without_a_type_is_refused() -> None:
    server, device = pair()
    assert server.open(device.seal(0, b"")) is None


def test_a_restored_session_goes_on_where_it_was() -> None:
    server, device = pair()
    seen = [device.seal_data(bytes([n])) for n in range(3)]
    assert server.open(seen[0]) is not None
    assert server.open(seen[2]) is not None
    restored = ServerRecords(
        server.keys,
        server.connection_id,
        send_sequence=1 << 32,
        highest_received=server.highest_received,
        replay_window=server.replay_window,
    )
    assert restored.open(seen[0]) is None
    assert restored.open(seen[2]) is None
    assert restored.open(seen[1]) == (APPLICATION_DATA, b"\x01")
    restored_device = DeviceRecords(
        device.keys,
        device.connection_id,
        send_sequence=device.send_sequence,
        highest_received=device.highest_received,
        replay_window=device.replay_window,
        moving=True,
    )
    assert restored.open(restored_device.seal_data(b"back")) == (APPLICATION_DATA, b"back")


def test_a_holder_with_a_lower_adoption_is_refused_by_the_device() -> None:
    device = DeviceRecords(KEYS, ID)
    late = ServerRecords(KEYS, ID, send_sequence=70)
    new = ServerRecords(KEYS, ID, send_sequence=1 << 32)
    assert device.open(late.seal_data(b"before")) is not None
    assert device.open(new.seal_data(b"after")) == (APPLICATION_DATA, b"after")
    assert device.open(late.seal_data(b"too late")) is None
    last = ServerRecords(KEYS, ID, send_sequence=0xFFFF_FFFF_FFF0)
    assert device.open(last.seal_data(b"highest")) == (APPLICATION_DATA, b"highest")


def test_released_ciphers_come_back_when_needed() -> None:
    server, device = pair()
    assert server.open(device.seal_data(b"one")) is not None
    first = server.seal_data(b"one")
    server.release_ciphers()
    assert server.open(device.seal_data(b"two")) == (APPLICATION_DATA, b"two")
    assert device.open(first) == (APPLICATION_DATA, b"one")
    assert device.open(server.seal_data(b"two")) == (APPLICATION_DATA, b"two")


def test_no_sequence_number_is_used_twice_even_at_the_end() -> None:
    for records in (
        ServerRecords(KEYS, ID, send_sequence=MAX_SEQUENCE),
        DeviceRecords(KEYS, ID, send_sequence=MAX_SEQUENCE),
        DeviceRecords(KEYS, b"", send_sequence=MAX_SEQUENCE),
    ):
        assert records.seal_data(b"last")[3:11] == b"\0\x01" + b"\xff" * 6
        for _ in range(2):
            with pytest.raises(MisuseError):
                records.seal_data(b"one more")
            with pytest.raises(MisuseError):
                records.seal(ALERT, b"\x01\x00")


def test_several_records_are_what_each_would_be() -> None:
    contents = [b"", b"a", b"bc", b"de", b"f" * 524, b"g" * 524, b"h" * 100]
    together, alone = ServerRecords(KEYS, ID, send_sequence=7), ServerRecords(KEYS, ID)
    alone.send_sequence = 7
    sealed = together.seal_all(contents)
    assert sealed == [alone.seal_data(content) for content in contents]
    assert together.send_sequence == alone.send_sequence == 7 + len(contents)
    device = DeviceRecords(KEYS, ID)
    assert [device.open(record) for record in sealed] == [
        (APPLICATION_DATA, content) for content in contents
    ]
    assert together.seal_all([]) == []


def test_several_records_use_no_number_twice_even_at_the_end() -> None:
    records = ServerRecords(KEYS, ID, send_sequence=MAX_SEQUENCE - 1)
    with pytest.raises(MisuseError):
        records.seal_all([b"one", b"two", b"three"])
    assert records.send_sequence == MAX_SEQUENCE - 1
    last = records.seal_all([b"one", b"two"])
    assert [record[3:11] for record in last] == [
        b"\0\x01" + b"\xff" * 5 + b"\xfe",
        b"\0\x01" + b"\xff" * 6,
    ]
    with pytest.raises(MisuseError):
        records.seal_all([b"one more"])


def test_one_of_several_that_is_too_long_is_our_mistake_and_no_number_comes_again() -> None:
    server, device = pair()
    with pytest.raises(MisuseError):
        server.seal_all([b"short", bytes(MAX_CONTENT_BYTES + 1)])
    assert server.send_sequence == 2
    assert device.open(server.seal_data(b"next")) == (APPLICATION_DATA, b"next")


def test_content_longer_than_a_record_is_our_mistake() -> None:
    server, device = pair()
    content = bytes(MAX_CONTENT_BYTES)
    assert device.open(server.seal_data(content)) == (APPLICATION_DATA, content)
    for records in (server, device):
        before = records.send_sequence
        with pytest.raises(MisuseError):
            records.seal_data(content + b"x")
        with pytest.raises(MisuseError):
            records.seal(HANDSHAKE, content + b"x")
        assert records.send_sequence == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: ServerRecords(KEYS, b"seven.."),
        lambda: DeviceRecords(KEYS, b"seven.."),
        lambda: ServerRecords(KEYS, b"", has_connection_id=False),
        lambda: ServerRecords(KEYS, ID, send_sequence=MAX_SEQUENCE + 2),
        lambda: ServerRecords(KEYS, ID, send_sequence=-1),
        lambda: DeviceRecords(KEYS, ID, highest_received=-2),
        lambda: DeviceRecords(KEYS, ID, highest_received=MAX_SEQUENCE + 1),
        lambda: ServerRecords(KEYS, ID, replay_window=1 << 64),
    ],
)
def test_values_that_no_session_has_are_our_mistake(make: Callable[[], object]) -> None:
    with pytest.raises(MisuseError):
        make()


def test_keys_of_another_length_are_our_mistake() -> None:
    with pytest.raises(MisuseError):
        Keys(b"c" * 16, b"s" * 15, b"cciv", b"ssiv")


def test_a_datagram_is_split_into_its_records() -> None:
    server, device = pair()
    parts = [
        plaintext_record(HANDSHAKE, 3, b"hello"),
        plaintext_record(ALERT, 4, b""),
        device.seal_data(b"data"),
        server.seal_data(b"answer"),
    ]
    assert split_records(b"".join(parts)) == parts


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x16",
        b"\x18\xfe\xfd" + bytes(10),
        b"\xfe\xfe\xfd" + bytes(10),
        b"\x16\x03\x03" + bytes(10),
        b"\x16\xfe\xfd" + bytes(8) + b"\x00\x01",
        b"\x16\xfe\xfd" + bytes(10) + b"x",
        b"\x19\xfe\xfd" + bytes(17),
        DEVICE_RECORD + b"\x00",
        DEVICE_RECORD[:-1],
    ],
)
def test_a_datagram_that_is_no_row_of_records_is_malformed(datagram: bytes) -> None:
    with pytest.raises(MalformedError):
        split_records(datagram)


def test_the_number_of_records_in_a_datagram_is_bounded() -> None:
    record = plaintext_record(HANDSHAKE, 0, b"")
    most = split_records(record * MAX_RECORDS_PER_DATAGRAM)
    assert len(most) == MAX_RECORDS_PER_DATAGRAM
    with pytest.raises(MalformedError):
        split_records(record * (MAX_RECORDS_PER_DATAGRAM + 1))


near_records = st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=60).map(lambda tail: DEVICE_RECORD[:21] + tail),
    st.binary(max_size=60).map(lambda tail: SERVER_RECORD[:13] + tail),
    st.tuples(st.integers(0, 52), st.binary(max_size=4)).map(
        lambda cut: DEVICE_RECORD[: cut[0]] + cut[1] + DEVICE_RECORD[cut[0] + len(cut[1]) :]
    ),
)


@given(near_records)
def test_any_bytes_open_to_nothing_or_to_what_was_sealed(data: bytes) -> None:
    assert ServerRecords(VECTOR_KEYS, ID).open(data) in (None, (APPLICATION_DATA, EMPTY_CON))
    assert DeviceRecords(VECTOR_KEYS, ID).open(data) in (None, (APPLICATION_DATA, EMPTY_ACK))
    without_id = ServerRecords(VECTOR_KEYS, ID, has_connection_id=False)
    assert without_id.open(data) in (None, (APPLICATION_DATA, EMPTY_ACK))
    moved = split_moved(b"\xfe" + data[1:])
    assert moved is None or len(moved[0]) == 12


@given(near_records, st.integers(0, 8))
def test_any_bytes_split_into_what_they_consist_of_or_are_malformed(
    data: bytes, id_length: int
) -> None:
    try:
        records = split_records(data, id_length)
    except MalformedError:
        return
    assert b"".join(records) == data
