"""What the doctor says of settings: each mistake, and where it was made."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cyan.cli.doctoring.configuration import read_settings
from tests.cli.doctor import by_name, doctor, levels
from tests.rest.certificates import write_certificate
from tests.system.processes import migrated


def test_settings_that_are_right_are_taken_from_file_environment_and_options(
    tmp_path: Path,
) -> None:
    file = tmp_path / "cyan.toml"
    file.write_text('udp_port = 5700\ntcp_port = 5701\nhost = "127.0.0.2"\n')
    environment = {"CYAN_CONFIG": str(file), "CYAN_TCP_PORT": "5702", "HOME": "/"}
    read = read_settings({"host": "127.0.0.3", "data": None}, environment)
    assert (read.config.udp_port, read.config.tcp_port, read.config.host) == (
        5700,
        5702,
        "127.0.0.3",
    )
    found = by_name(read.findings)
    assert levels(found) == {"configuration.read": "ok"}
    for source in (str(file), "CYAN_TCP_PORT", "--host"):
        assert source in found["configuration.read"].found


def test_an_unknown_key_is_named_with_its_source_and_the_one_that_was_meant() -> None:
    read = read_settings({}, {"CYAN_UDP_PROT": "1", "CYAN_XYZZY": "1"})
    assert len(read.findings) == 2
    misspelt, strange = read.findings
    assert misspelt.check == strange.check == "configuration.unknown_key"
    assert "udp_prot (CYAN_UDP_PROT)" in misspelt.found
    assert misspelt.next_step == "Is udp_port meant?"
    assert strange.next_step is not None
    assert "settings.md" in strange.next_step


def test_one_mistake_hides_neither_the_next_nor_what_is_right() -> None:
    environment = {"CYAN_HTTP_PORT": "eighty", "CYAN_ENROLMENT": "anyone", "CYAN_UDP_PORT": "5700"}
    read = read_settings({}, environment)
    told = " ".join(finding.found for finding in read.findings)
    assert [finding.check for finding in read.findings] == ["configuration.value"] * 2
    assert "'eighty'" in told
    assert "'anyone'" in told
    assert (read.config.udp_port, read.config.http_port) == (5700, 8080)


def test_a_configuration_file_that_is_missing_or_no_toml_is_told(tmp_path: Path) -> None:
    missing = by_name(read_settings({"config": tmp_path / "cyan.toml"}, {}).findings)
    assert levels(missing) == {"configuration.file": "problem"}
    assert "No such file" in missing["configuration.file"].found
    (tmp_path / "cyan.toml").write_text("udp_port: 5684\n")
    broken = by_name(read_settings({"config": tmp_path / "cyan.toml"}, {}).findings)
    assert "is not TOML" in broken["configuration.file"].found
    assert "line 1" in broken["configuration.file"].found


def test_open_enrolment_is_for_loopback_only() -> None:
    assert by_name(read_settings({"enrolment": "open"}, {}).findings).keys() == {
        "configuration.read"
    }
    outside = by_name(read_settings({"enrolment": "open", "host": "192.0.2.1"}, {}).findings)
    assert outside["configuration.enrolment"].level.value == "warning"


@pytest.mark.parametrize(
    "reached", [{"host": "192.0.2.1"}, {"public_url": "https://cloud.example.invalid"}]
)
def test_sign_up_for_anybody_and_mails_in_files_are_for_loopback_only(
    reached: dict[str, str],
) -> None:
    own_desk = read_settings({"sign_up": "open", "public_url": "http://127.0.0.1:8080"}, {})
    assert by_name(own_desk.findings).keys() == {"configuration.read"}
    outside = by_name(read_settings({"sign_up": "open", **reached}, {}).findings)
    assert outside["configuration.sign_up"].level.value == "warning"
    assert outside["configuration.mail"].level.value == "warning"
    right = read_settings({"sign_up": "invited", "smtp_host": "mail.example.com", **reached}, {})
    assert by_name(right.findings).keys() == {"configuration.read"}


@pytest.mark.parametrize(
    ("in_days", "level", "told"),
    [
        (-100, "ok", "is good until"),
        (-15, "ok", "is good until"),
        (-13, "warning", "ends in 13 days"),
        (1, "problem", "ended on"),
    ],
)
def test_the_end_of_the_certificate_is_told_in_time(
    tmp_path: Path, in_days: int, level: str, told: str
) -> None:
    certificate, key = tmp_path / "api.crt", tmp_path / "api.key"
    write_certificate(certificate, key, days=90)
    now = datetime.now(UTC) + timedelta(days=90 + in_days, minutes=-1)
    options = {"tls_certificate": str(certificate), "tls_key": str(key)}
    found = by_name(read_settings(options, {}, now).findings)["configuration.certificate"]
    assert (found.level.value, told in found.found) == (level, True), found


def test_a_certificate_that_cannot_be_used_is_a_problem(tmp_path: Path) -> None:
    missing = read_settings({"tls_certificate": str(tmp_path / "api.crt")}, {}).findings
    assert by_name(missing)["configuration.certificate"].level.value == "problem"
    keyless = by_name(read_settings({"tls_key": str(tmp_path / "api.key")}, {}).findings)
    assert "tls_certificate is not" in keyless["configuration.certificate"].found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("public_url", "cloud.example.com"),
        ("public_url", "http://[bad"),
        ("public_url", "http://cloud.example.com:99999"),
        ("trusted_proxies", "10.0.0.1/8"),
    ],
)
def test_addresses_with_which_the_server_does_not_start_are_problems(key: str, value: str) -> None:
    found = by_name(read_settings({key: value, "smtp_host": "mail"}, {}).findings)
    assert levels(found) == {"configuration.read": "ok", f"configuration.{key}": "problem"}
    assert "does not start" in found[f"configuration.{key}"].found


def test_the_command_tells_all_mistakes_and_looks_at_the_rest_all_the_same(tmp_path: Path) -> None:
    settings = {"CYAN_UDP_PROT": "1"}
    examined = doctor(migrated(tmp_path / "data"), "--host", "127.0.0.1", settings=settings)
    assert examined.exit_code == 1
    assert examined.problems == ["configuration.unknown_key"]
    assert examined.one("database.schema")["level"] == "ok"
