"""One frozen Config: defaults, then a file, the environment, options of the command line."""

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cyan.core.errors import ConfigError

ENV_PREFIX = "CYAN_"


def _setting(
    default: Any,
    help_text: str,
    *,
    low: int | None = None,
    high: int | None = None,
    secret: bool = False,
) -> Any:
    metadata = {"help": help_text, "low": low, "high": high}
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True)
class Config:
    """Every setting of the server. In the environment: CYAN_ and the field in capitals."""

    data: Path = _setting(Path("data"), "Folder of everything that lasts: database, keys, secrets.")
    host: str = _setting("127.0.0.1", "Address to listen on; 0.0.0.0 for every interface.")
    http_port: int = _setting(8080, "Port of the API; 0 takes any free one.", low=0, high=65535)
    udp_port: int = _setting(
        5684, "Port for devices over UDP; real boards always use 5684.", low=0, high=65535
    )
    tcp_port: int = _setting(5683, "Port for devices over TCP.", low=0, high=65535)
    devices: int = _setting(3, "Simulated devices that `cyan dev` starts.", low=0, high=10_000)
    enrolment: str = _setting(
        "registered",
        "`registered`: only known device ids connect. `open`: the first key seen for an unknown id"
        " is pinned.",
    )
    node: str = _setting("main", "Name of this process as holder of device sessions.")
    public_host: str = _setting(
        "", "Name or address that devices use to reach this server; the listening host if empty."
    )
    public_url: str = _setting(
        "",
        "Address of the API as people reach it, such as https://cloud.example.com; from the host,"
        " the port and the certificate if empty.",
    )
    trusted_proxies: str = _setting(
        "127.0.0.1, ::1",
        "Addresses and networks of web servers before this one, with commas between them. Only"
        " their X-Forwarded-For and X-Forwarded-Proto are believed.",
    )
    tls_certificate: str = _setting(
        "", "PEM file of the API's certificate and its chain; plain HTTP if empty."
    )
    tls_key: str = _setting("", "PEM file of the certificate's private key.")
    event_retention_days: int = _setting(30, "Days that the event log keeps an event.", low=1)
    event_retention_mib: int = _setting(1024, "Size that the event log may reach, MiB.", low=1)
    offline_after_wifi_s: int = _setting(
        75, "Silence after which a Wi-Fi or Ethernet device is offline, seconds.", low=1
    )
    offline_after_cellular_s: int = _setting(
        2 * 23 * 60, "Silence after which a cellular device is offline, seconds.", low=1
    )
    device_messages_per_s: int = _setting(
        200,
        "Messages that one device may send in a second. More are dropped over UDP, where they come"
        " again, and wait over TCP.",
        low=10,
    )
    update_kib_per_s: int = _setting(
        0, "What all updates of devices together may send, KiB a second; 0 for no limit.", low=0
    )
    max_sessions: int = _setting(
        200_000, "Devices over UDP whose sessions are kept at the same time.", low=1
    )
    max_connections: int = _setting(
        15_000, "Connections over TCP at the same time; open files may set a lower limit.", low=1
    )
    sign_up: str = _setting(
        "closed",
        "Who may make an account over the API: `closed`: nobody. `invited`: who has a code of `cyan"
        " user invite`. `open`: anybody.",
    )
    mail_from: str = _setting("cyan@localhost", "Sender of mails to people.")
    smtp_host: str = _setting(
        "", "Mail server. If empty, mails become files in the folder `mail` of the data folder."
    )
    smtp_port: int = _setting(587, "Port of the mail server.", low=1, high=65535)
    smtp_security: str = _setting(
        "starttls", "`starttls`, `tls` (port 465), or `none` for a mail server on this machine."
    )
    smtp_username: str = _setting("", "Login at the mail server; none if empty.")
    smtp_password: str = _setting("", "Its password.", secret=True)
    rate_limit_requests: int = _setting(
        10_000, "Requests of one address in 5 minutes; 0 for no limit.", low=0
    )
    rate_limit_sensitive: int = _setting(
        100,
        "Requests of one address in 5 minutes to each of: login, tokens, accounts, password reset,"
        " opening streams; 0 for no limit.",
        low=0,
    )
    rate_limit_streams: int = _setting(
        100, "Event streams that one address may have open; 0 for no limit.", low=0
    )
    rate_limit_publishes: int = _setting(
        10_000,
        "Events that one account may publish over the API in 5 minutes; 0 for no limit.",
        low=0,
    )
    login_failures: int = _setting(
        10, "Failed logins after which an address has to wait; 0 for no limit.", low=0
    )
    login_failures_account: int = _setting(
        50,
        "Failed logins after which an account has to wait, except at addresses where it logged in"
        " before; 0 for no limit.",
        low=0,
    )
    login_block_s: int = _setting(1800, "How long they have to wait, seconds.", low=1)
    limit_loopback: str = _setting(
        "yes",
        "Whether these limits hold for this machine too: `yes` or `no`. Behind a web server without"
        " X-Forwarded-For everybody is this machine. `cyan dev` has `no`.",
    )
    console: str = _setting("on", "Whether the web console is served: `on` or `off`.")
    simulated_compiler: str = _setting(
        "gcc",
        "For which platforms sources are compiled into what only simulated devices run: `gcc`, that"
        " of programs on a computer; `all`, for a server without real boards; `off`. `cyan dev` has"
        " `all`.",
    )
    compiler_command: str = _setting(
        "", "A program that compiles firmware for real boards (docs/howto/compile-firmware.md)."
    )
    compiler_targets: str = _setting(
        "", "What it compiles for: releases of Device OS with platforms, `6.2.0: argon boron; …`."
    )
    compiler_timeout_s: int = _setting(
        45, "How long it may take, seconds; who asks waits so long.", low=1, high=3600
    )
    compiler_memory_mib: int = _setting(
        4096, "Memory that each of its processes may take, MiB.", low=64
    )
    log_format: str = _setting("text", "`text` for people, `json` for machines.")
    log_level: str = _setting("info", "Least level that is logged: debug, info, warning, error.")

    def __post_init__(self) -> None:
        choices = {
            "enrolment": ("registered", "open"),
            "sign_up": ("closed", "invited", "open"),
            "smtp_security": ("starttls", "tls", "none"),
            "limit_loopback": ("yes", "no"),
            "simulated_compiler": ("gcc", "all", "off"),
            "console": ("on", "off"),
            "log_format": ("text", "json"),
            "log_level": ("debug", "info", "warning", "error"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} is one of {', '.join(allowed)}, not {getattr(self, name)!r}."
                )
        for setting in dataclasses.fields(self):
            value = getattr(self, setting.name)
            low, high = setting.metadata["low"], setting.metadata["high"]
            if (low is not None and value < low) or (high is not None and value > high):
                limit = f"at least {low}" if high is None else f"from {low} to {high}"
                raise ConfigError(f"{setting.name} is {limit}, not {value}.")

    @property
    def database_path(self) -> Path:
        return self.data / "cyan.db"


def load_config(
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Config:
    """`defaults`, `file` (TOML, or CYAN_CONFIG), environment, `overrides`; later ones win.

    Raises ConfigError, which names the key, for an unknown key or a value that does not fit.
    """
    env = os.environ if environment is None else environment
    values: dict[str, Any] = dict(defaults or {})
    path = file or (Path(env["CYAN_CONFIG"]) if env.get("CYAN_CONFIG") else None)
    if path is not None:
        values.update(_from_file(path))
    for key, text in env.items():
        name = key.removeprefix(ENV_PREFIX).lower()
        if key.startswith(ENV_PREFIX) and key != "CYAN_CONFIG" and text != "":
            values[name] = text
    values.update({key: value for key, value in (overrides or {}).items() if value is not None})
    fields = {setting.name: setting for setting in dataclasses.fields(Config)}
    for name in values:
        if name not in fields:
            known = ", ".join(sorted(fields))
            raise ConfigError(f"There is no setting {name!r}. The settings are: {known}.")
    return Config(**{name: _read(fields[name], value) for name, value in values.items()})


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(
            f"The configuration file {path} cannot be read: {error.strerror}."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The configuration file {path} is not TOML: {error}.") from error


def _read(setting: "dataclasses.Field[Any]", value: Any) -> Any:
    kind = setting.type
    if kind is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        try:
            if isinstance(value, str):
                return int(value)
        except ValueError:
            pass
        raise ConfigError(f"{setting.name} is a whole number, not {value!r}.")
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    if kind is str and isinstance(value, str):
        return value
    raise ConfigError(f"{setting.name} is text, not {value!r}.")
