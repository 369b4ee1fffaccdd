"""What the doctor says of settings: each mistake, and where it was made."""

from pathlib import Path

from cyan.cli.doctoring.configuration import read_settings
from tests.cli.doctor import by_name, doctor, levels
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


def test_the_command_tells_all_mistakes_and_looks_at_the_rest_all_the_same(tmp_path: Path) -> None:
    settings = {"CYAN_UDP_PROT": "1"}
    examined = doctor(migrated(tmp_path / "data"), "--host", "127.0.0.1", settings=settings)
    assert examined.exit_code == 1
    assert examined.problems == ["configuration.unknown_key"]
    assert examined.one("database.schema")["level"] == "ok"
