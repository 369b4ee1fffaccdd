"""Labels from a file: `cyan device import`."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cyan.accounts.passwords import Passwords
from cyan.accounts.people import create_user
from cyan.audit.store import list_entries
from cyan.cli.main import cli
from cyan.core.db import migrate
from cyan.core.db.engine import Database
from cyan.core.errors import InvalidError
from cyan.core.secrets import Vault, open_vault
from cyan.devices import importing, registry, store
from cyan.devices.importing import ImportRefusedError, import_labels, read_labels
from cyan.devices.labels import SECRET_PURPOSE, Label, read_label
from tests.clock import HandClock
from tests.devices.world import device_id

VAULT = Vault(bytes(32))


def test_a_file_names_its_columns_in_any_spelling_and_order() -> None:
    assert read_labels(
        [
            "\ufeffSerial Number,ICCID,Colour,DeviceID,mac",
            f"p046ac123,8934076500002589174,red,{device_id(1).upper()},A8:61:0A:AF:18:2C",
            "",
            f",,,{device_id(2)}",
        ]
    ) == [
        Label(
            device_id(1),
            serial_number="P046AC123",
            iccid="8934076500002589174",
            mac_wifi="a8:61:0a:af:18:2c",
        ),
        Label(device_id(2)),
    ]


def test_the_data_matrix_of_a_label_has_the_secret_behind_the_serial_number() -> None:
    label = read_label({"device_id": device_id(1), "serial_number": "P046AC123 ABCDEFGHJKLMNOP"})
    assert (label.serial_number, label.mobile_secret) == ("P046AC123", "ABCDEFGHJKLMNOP")
    assert "ABCDEFGHJKLMNOP" not in repr(label)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("device_id", "12345"),
        ("device_id", ""),
        ("serial_number", "P0"),
        ("serial_number", "P" * 33),
        ("serial_number", "P046é"),
        ("mobile_secret", "x" * 33),
        ("mobile_secret", "a\tb"),
        ("iccid", "893407"),
        ("imei", "35275309000000é"),
        ("mac_wifi", "a8:61"),
        ("platform_id", "boron"),
        ("platform_id", "²"),
    ],
)
def test_what_does_not_stand_on_a_label_is_refused(column: str, value: str) -> None:
    with pytest.raises(InvalidError):
        read_label({"device_id": device_id(1), column: value})


def test_every_wrong_line_is_named_and_nothing_is_imported() -> None:
    lines = ["device_id,imei", "x,", f"{device_id(1)},352753090041680", f"{device_id(2)},1"]
    with pytest.raises(ImportRefusedError) as refused:
        read_labels(lines)
    message = refused.value.message
    assert message.startswith("Nothing was imported:\nline 2: ")
    assert "line 4: An IMEI has 15 digits, unlike '1'." in message
    assert "line 3" not in message


def test_only_the_first_wrong_lines_are_named() -> None:
    with pytest.raises(ImportRefusedError, match=r"line 21: .*\n\(and 5 more\)"):
        read_labels(["id", *("x" * 25)])


@pytest.mark.parametrize("line", [f"{device_id(1)},P0461", f"{device_id(2)},P0460"])
def test_an_id_or_a_serial_number_that_comes_twice_is_refused(line: str) -> None:
    with pytest.raises(ImportRefusedError, match=r"line 3: .* is in line 2 already"):
        read_labels(["id,serial", f"{device_id(1)},P0460", line])


@pytest.mark.parametrize("lines", [[], ["serial,imei", "P046,"], ["0123456789abcdef01234567"]])
def test_a_file_without_a_column_of_ids_is_refused(lines: list[str]) -> None:
    with pytest.raises(ImportRefusedError, match="one of them is device_id"):
        read_labels(lines)


def test_a_file_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MAX_LINES", 2)
    assert len(read_labels(["id", device_id(1), device_id(2)])) == 2
    with pytest.raises(ImportRefusedError, match="more than 2 lines"):
        read_labels(["id", device_id(1), device_id(2), device_id(3)])


def test_devices_become_known_and_known_ones_keep_the_rest(
    db: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "AT_ONCE", 2)
    registry.register_device(db, clock, device_id(1), name="lamp")
    labels = [Label(device_id(n), serial_number=f"P046{n}", platform_id=13) for n in (1, 2, 3)]
    done = import_labels(db, clock, VAULT, labels)
    assert (done.devices, done.registered) == (3, 2)
    found = registry.find_device(db, device_id(1))
    assert found is not None
    assert (found.name, found.serial_number, found.platform_id) == ("lamp", "P0461", 13)
    entries = list_entries(db, subject="devices")
    assert [entry.detail for entry in entries] == [
        {"devices": 1, "registered": 1},
        {"devices": 2, "registered": 1},
    ]
    import_labels(db, clock, VAULT, [Label(device_id(1), imei="352753090041680")])
    again = registry.find_device(db, device_id(1))
    assert again is not None
    assert (again.serial_number, again.imei) == ("P0461", "352753090041680")


def test_a_mobile_secret_is_stored_sealed(db: Database, clock: HandClock) -> None:
    import_labels(db, clock, VAULT, [Label(device_id(1), mobile_secret="ABCDEFGHJKLMNOP")])
    row = db.row(store.DEVICE, {"id": device_id(1)})
    assert row is not None
    assert b"ABCDEFG" not in row.mobile_secret
    assert VAULT.open(row.mobile_secret, SECRET_PURPOSE) == b"ABCDEFGHJKLMNOP"


def test_a_serial_number_of_another_device_is_refused(db: Database, clock: HandClock) -> None:
    import_labels(db, clock, VAULT, [Label(device_id(1), serial_number="P0461")])
    with pytest.raises(ImportRefusedError, match="P0461 is the serial number of"):
        import_labels(
            db,
            clock,
            VAULT,
            [Label(device_id(3)), Label(device_id(2), serial_number="P0461")],
        )
    assert registry.find_device(db, device_id(3)) is None


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    migrate.upgrade(folder / "cyan.db")
    return folder


def test_the_command_imports_a_file(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes(
        b"device_id,serial_number\r\n%b,P046AC123 SECRETSECRET123\r\n" % device_id(1).encode()
    )
    done = CliRunner().invoke(cli, ["device", "import", str(file), "--data", str(data)])
    assert done.exit_code == 0, done.output
    assert "Imported 1 devices; 1 of them were not known before." in done.output
    db = Database(data / "cyan.db")
    row = db.row(store.DEVICE_OF_SERIAL, {"serial_number": "P046AC123"})
    db.close()
    assert row is not None
    assert open_vault(data).open(row.mobile_secret, SECRET_PURPOSE) == b"SECRETSECRET123"


def test_the_command_says_what_is_wrong(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    for content, complaint in ((b"id\nxyz\n", "line 2"), (b"\xff\xfe", "UTF-8")):
        file.write_bytes(content)
        refused = CliRunner().invoke(cli, ["device", "import", str(file), "--data", str(data)])
        assert refused.exit_code != 0
        assert complaint in (refused.output + str(getattr(refused.exception, "message", "")))


def test_the_command_makes_a_registrar_and_unmakes_one(data: Path, passwords: Passwords) -> None:
    db = Database(data / "cyan.db")
    user_id = create_user(db, "maker@example.com", "a long password", passwords=passwords)
    for options, is_one in (([], True), (["--revoke"], False)):
        done = CliRunner().invoke(
            cli, ["device", "registrar", "maker@example.com", *options, "--data", str(data)]
        )
        assert done.exit_code == 0, done.output
        assert (db.row(store.REGISTRAR, {"user_id": user_id}) is not None) is is_one
    db.close()
    refused = CliRunner().invoke(
        cli, ["device", "registrar", "nobody@example.com", "--data", str(data)]
    )
    assert "cyan user list" in refused.output
