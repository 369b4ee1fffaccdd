"""Configuration: where each setting can come from, and what is said of a bad one."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from cyan.core.config import Config, load_config
from cyan.core.errors import ConfigError

VALUES: dict[str, Any] = {
    "data": Path("/srv/cyan"),
    "host": "0.0.0.0",
    "http_port": 1,
    "udp_port": 2,
    "tcp_port": 3,
    "devices": 4,
    "enrolment": "open",
    "node": "second",
    "public_host": "cloud.example.com",
    "public_url": "https://cloud.example.com",
    "trusted_proxies": "10.0.0.1",
    "tls_certificate": "/etc/cyan.crt",
    "tls_key": "/etc/cyan.pem",
    "event_retention_days": 5,
    "event_retention_mib": 6,
    "offline_after_wifi_s": 7,
    "offline_after_cellular_s": 8,
    "device_messages_per_s": 90,
    "update_kib_per_s": 89,
    "max_sessions": 91,
    "max_connections": 92,
    "sign_up": "invited",
    "mail_from": "cloud@example.com",
    "smtp_host": "mail.example.com",
    "smtp_port": 465,
    "smtp_security": "tls",
    "smtp_username": "cloud",
    "smtp_password": "secret",
    "rate_limit_requests": 93,
    "rate_limit_sensitive": 94,
    "rate_limit_publishes": 99,
    "rate_limit_streams": 95,
    "login_failures": 96,
    "login_failures_account": 97,
    "login_block_s": 98,
    "limit_loopback": "no",
    "console": "off",
    "simulated_compiler": "all",
    "compiler_command": "compile-for-boards --fast",
    "compiler_targets": "6.2.0: argon",
    "compiler_timeout_s": 99,
    "compiler_memory_mib": 100,
    "log_format": "json",
    "log_level": "debug",
}
NUMBERS = sorted(name for name, value in VALUES.items() if isinstance(value, int))
SETTINGS = sorted(VALUES)


def as_toml(value: object) -> str:
    return str(value) if isinstance(value, int) else f'"{value}"'


def test_every_setting_is_tested_here() -> None:
    assert sorted(field.name for field in dataclasses.fields(Config)) == SETTINGS
    assert all(getattr(Config(), name) != value for name, value in VALUES.items())


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_comes_from_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "cyan.toml"
    file.write_text(f"{name} = {as_toml(VALUES[name])}\n")
    assert getattr(load_config(environment={}, file=file), name) == VALUES[name]
    assert getattr(load_config(environment={"CYAN_CONFIG": str(file)}), name) == VALUES[name]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_comes_from_the_environment(name: str) -> None:
    environment = {f"CYAN_{name.upper()}": str(VALUES[name]), "HOME": "/root"}
    assert getattr(load_config(environment=environment), name) == VALUES[name]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_comes_from_an_option(name: str) -> None:
    assert getattr(load_config({name: VALUES[name]}, {}), name) == VALUES[name]


def test_later_sources_win_and_empty_ones_say_nothing(tmp_path: Path) -> None:
    file = tmp_path / "cyan.toml"
    file.write_text('http_port = 11\nudp_port = 12\ntcp_port = 13\nhost = "file"\n')
    found = load_config(
        {"tcp_port": 33, "udp_port": None},
        {"CYAN_UDP_PORT": "22", "CYAN_TCP_PORT": "23", "CYAN_HOST": ""},
        file,
        {"http_port": 1, "devices": 9},
    )
    assert (found.http_port, found.udp_port, found.tcp_port) == (11, 22, 33)
    assert (found.devices, found.host) == (9, "file")


def test_an_unknown_key_stops_the_start_and_is_named(tmp_path: Path) -> None:
    file = tmp_path / "cyan.toml"
    file.write_text("htp_port = 80\n")
    with pytest.raises(ConfigError, match=r"'htp_port'.*http_port"):
        load_config(environment={}, file=file)
    with pytest.raises(ConfigError, match="'speed'"):
        load_config(environment={"CYAN_SPEED": "high"})


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["many", "", "1.5"])
def test_a_number_that_is_none_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is a whole number"):
        load_config({name: value}, {})


@pytest.mark.parametrize("written", ["8.5", "true", "[1]", "{a = 1}", "1979-05-27"])
@pytest.mark.parametrize("name", ["http_port", "host", "data"])
def test_a_value_of_the_wrong_kind_is_refused_by_name(
    name: str, written: str, tmp_path: Path
) -> None:
    file = tmp_path / "cyan.toml"
    file.write_text(f"{name} = {written}\n")
    with pytest.raises(ConfigError, match=f"^{name} is (a whole number|text), not "):
        load_config(environment={}, file=file)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("http_port", 65536),
        ("udp_port", -1),
        ("devices", 10_001),
        ("event_retention_days", 0),
        ("event_retention_mib", 0),
        ("offline_after_wifi_s", 0),
        ("enrolment", "closed"),
        ("log_format", "xml"),
        ("log_level", "loud"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is "):
        load_config({name: value}, {})


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read"):
        load_config(environment={}, file=tmp_path / "nowhere.toml")
    file = tmp_path / "cyan.toml"
    file.write_text("http_port: 80")
    with pytest.raises(ConfigError, match=r"cyan\.toml is not TOML"):
        load_config(environment={}, file=file)


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().host = "elsewhere"  # type: ignore[misc]
