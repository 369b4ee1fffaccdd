"""The simulator's command line, and which fleet comes of it."""

import shlex
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cyan.sim.boards import UnknownBoardError
from cyan.sim.device import Device
from cyan.sim.faults import Kind
from cyan.sim.field import Boot
from cyan.sim.options import Options, OptionsError, parse
from cyan.sim.plan import Plan, make_boards, make_fleet, make_plans
from cyan.sim.platforms import Transport
from cyan.sim.servers import ServerError, find_servers, other_server_key
from cyan.sim.tables import TableError
from cyan.wire.server_key import ServerKey, encode_server_key

UDP_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
TCP_KEY = rsa.generate_private_key(65537, 2048).public_key()
CODE = "c" * 63


def der(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def udp_file(tmp_path: Path) -> Path:
    path = tmp_path / "udp.der"
    path.write_bytes(encode_server_key(ServerKey(der(UDP_KEY), "127.0.0.1", 4000)))
    return path


@pytest.fixture
def tcp_file(tmp_path: Path) -> Path:
    path = tmp_path / "tcp.der"
    path.write_bytes(der(TCP_KEY))
    return path


class SilentHost:
    """A host for devices that are only looked at."""

    def send(self, data: bytes) -> None:
        raise AssertionError

    open_port = open_stream = close_stream = on_fact = send


def plans_of(options: Options) -> list[Plan]:
    boards = make_boards(options.shares)
    return make_plans(options, make_fleet("one", boards), boards)


def made_by(plan: Plan, wrong: Kind | None = None) -> Device:
    return plan.make(SilentHost(), Boot("one", wrong=wrong))  # type: ignore[arg-type]


def test_all_options_are_read() -> None:
    options = parse(
        shlex.split(
            "--mix argon:2 --mix photon:2.3:1 --server-key a --server-key b --port 1 --tcp-port 2"
            f" --claim-code {CODE} --behaviour c.toml --faults d.toml"
            " --fault 'loss rate=0.1' --fault 'move every_s=9'"
        )
    )
    assert options.server_key == (Path("a"), Path("b"))
    assert (options.port, options.tcp_port) == (1, 2)
    assert options.claim_code == (CODE,)
    assert (options.behaviour, options.faults) == (Path("c.toml"), Path("d.toml"))
    assert options.fault == ("loss rate=0.1", "move every_s=9")
    boards = [(share.board.platform.name, share.count) for share in options.shares]
    assert boards == [("argon", 2), ("photon", 1)]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"count": 0}, "--count is 1 to 200000 devices"),
        ({"mix": ("argon:150000", "boron:60000")}, "--mix is 1 to 200000 devices"),
        ({"event_size": 1025}, "--event-size is 0 to 1024"),
        ({"rate": -1.0}, "--rate is not negative"),
        ({"connect_rate": 0.0}, "--connect-rate is above 0"),
        ({"port": 0}, "--port is 1 to 65535"),
        ({"tcp_port": 65536}, "--tcp-port is 1 to 65535"),
        ({"claim_code": ("short",)}, "--claim-code has 63 characters"),
        ({"claim_code": ("é" * 63,)}, "--claim-code has 63 characters"),
        ({"behaviour": Path("b"), "rate": 0.0}, "--behaviour says what --rate, --event-size and"),
        ({"behaviour": Path("b"), "subscribe": ("a",)}, "--behaviour says what --rate, "),
        ({"server_key": ()}, "--server-key is needed"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, object], told: str) -> None:
    options = Options(**{"server_key": (Path("a"),), **changes})  # type: ignore[arg-type]
    with pytest.raises(OptionsError) as caught:
        options.check()
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    "changes",
    [{"platform": "toaster"}, {"firmware": "9.9"}, {"mix": ("photon:6.2:1",)}, {"mix": ("argon",)}],
)
def test_boards_that_do_not_exist_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UnknownBoardError):
        Options(server_key=(Path("a"),), **changes).check()  # type: ignore[arg-type]


def test_heartbeats_share_the_rate() -> None:
    interval = Options(mix=("argon:30", "gcc:10"), rate=8.0).event_interval_s
    assert interval == 5.0
    assert Options(rate=0.0).event_interval_s is None
    (heartbeat,) = Options(count=2, rate=1.0, event_size=50).read_behaviour().events
    assert (heartbeat.interval_s, heartbeat.size_bytes) == (2.0, 50)


def test_the_files_are_read_when_they_are_needed(tmp_path: Path) -> None:
    behaviour, faults = tmp_path / "b.toml", tmp_path / "f.toml"
    behaviour.write_text("[functions.open]\n")
    faults.write_text('[[faults]]\nkind = "loss"\nrate = 0.5\n')
    options = Options(behaviour=behaviour, faults=faults, fault=("move at_s=[1]",))
    assert [function.name for function in options.read_behaviour().functions] == ["open"]
    assert options.read_faults().up.loss == 0.5
    assert len(options.read_faults().mishaps) == 1
    faults.write_text('[[faults]]\nkind = "loss"\n')
    with pytest.raises(TableError, match=r"f\.toml: faults\[0\]\.rate"):
        options.read_faults()


def test_a_mixed_fleet_has_its_boards_in_order(udp_file: Path, tcp_file: Path) -> None:
    mix = ("argon:2", "photon:2.3:1")
    plans = plans_of(Options(mix=mix, server_key=(udp_file, tcp_file), server="127.0.0.2"))
    boards = [made_by(plan).board for plan in plans]
    names = [(board.platform.name, board.generation.name) for board in boards]
    assert names == [("argon", "6.2"), ("argon", "6.2"), ("photon", "2.3")]
    # A bare key leaves the port open: device-protocol.md §1.1.
    addresses = [plan.address for plan in plans]
    assert addresses == [("127.0.0.2", 4000), ("127.0.0.2", 4000), ("127.0.0.2", 5683)]


def test_more_devices_leave_the_first_as_they_are(udp_file: Path) -> None:
    few, more = (
        [plan.device_id for plan in plans_of(Options(count=count, server_key=(udp_file,)))]
        for count in (2, 5)
    )
    assert more[:2] == few


def test_claim_codes_go_to_the_first_devices(udp_file: Path) -> None:
    options = Options(server_key=(udp_file,), claim_code=("a" * 63, "b" * 63))
    codes = [made_by(plan).claim_code for plan in plans_of(options)]
    assert codes == ["a" * 63, "b" * 63, None]


def test_a_wrong_key_is_another_of_the_same_kind(udp_file: Path, tcp_file: Path) -> None:
    plans = plans_of(Options(mix=("argon:1", "photon:1"), server_key=(udp_file, tcp_file)))
    for plan in plans:
        right, wrong = made_by(plan), made_by(plan, Kind.WRONG_DEVICE_KEY)
        assert wrong.identity.device_id == right.identity.device_id
        assert wrong.identity.public_key_pem != right.identity.public_key_pem
        again = made_by(plan, Kind.WRONG_DEVICE_KEY)
        assert again.identity.public_key_pem == wrong.identity.public_key_pem
    for key in (UDP_KEY, TCP_KEY):
        other = other_server_key(key)
        assert type(other) is type(key)
        assert der(other) != der(key)
        assert len(der(other)) == len(der(key))
        assert der(other_server_key(key)) == der(other)


def test_a_transport_without_a_key_is_refused(udp_file: Path, tcp_file: Path) -> None:
    with pytest.raises(ServerError, match=r"server-key is needed.*an RSA key, for TCP"):
        plans_of(Options(platform="photon", server_key=(udp_file,)))
    with pytest.raises(ServerError, match=r"server-key is needed.*a P-256 key, for UDP"):
        plans_of(Options(server_key=(tcp_file,)))


def test_a_key_file_that_is_none_or_there_twice_is_refused(tmp_path: Path, udp_file: Path) -> None:
    with pytest.raises(ServerError, match="of which there is one already"):
        plans_of(Options(server_key=(udp_file, udp_file)))
    other = tmp_path / "other.der"
    for content, told in (
        (b"", "holds no public key"),
        (b"x" * 100, "holds no public key"),
        (der(ec.generate_private_key(ec.SECP384R1()).public_key()), "neither P-256 nor RSA"),
    ):
        other.write_bytes(content)
        with pytest.raises(ServerError, match=told):
            find_servers({Transport.UDP}, [other], None, {})
    with pytest.raises(OSError, match="No such file"):
        find_servers({Transport.UDP}, [tmp_path / "nowhere"], None, {})
