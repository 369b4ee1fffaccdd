"""The settings: whether each of them is known and fits, and where it comes from."""

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from cyan.cli.doctoring.finding import Finding, ok, problem, warning
from cyan.cli.doctoring.hosts import is_loopback
from cyan.core.config import ENV_PREFIX, Config, load_config
from cyan.core.errors import ConfigError
from cyan.core.mail import FOLDER
from cyan.rest.addresses import api_url
from cyan.rest.forwarding import parse_proxies
from cyan.rest.tls import WARN_BEFORE, CertificateError, open_certificate

_FILE_VARIABLE: Final = "CYAN_CONFIG"
_KEYS: Final = tuple(setting.name for setting in dataclasses.fields(Config))


class _Given(msgspec.Struct, frozen=True):
    """A setting as somebody wrote it; `source` says where."""

    key: str
    value: object
    source: str


class Settings(msgspec.Struct, frozen=True):
    """The configuration from all that could be used, and what is to be said of it."""

    config: Config
    findings: list[Finding]


def read_settings(
    options: Mapping[str, object],
    environment: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Settings:
    """As the server reads them (`load_config`), but what is wrong is left out and told, so that one
    mistake does not hide the next."""
    env = os.environ if environment is None else environment
    findings: list[Finding] = []
    given = [
        *_from_file(options.get("config") or env.get(_FILE_VARIABLE) or None, findings),
        *_from_environment(env),
        *_from_options(options),
    ]
    values: dict[str, object] = {}
    for one in given:
        fault = _fault(one)
        if fault is not None:
            findings.append(fault)
        else:
            values[one.key] = one.value
    config = load_config(values, environment={})
    if not findings:
        sources = ", ".join(dict.fromkeys(one.source for one in given))
        findings.append(ok("configuration.read", f"settings from {sources or 'the defaults'}"))
    findings += check_enrolment(config)
    findings += check_addresses(config)
    findings += check_certificate(config, now or datetime.now(UTC))
    findings += check_sign_up(config)
    findings += check_mail(config)
    return Settings(config, findings)


def check_enrolment(config: Config) -> list[Finding]:
    """Open to any device is for one's own desk."""
    if config.enrolment == "open" and not is_loopback(config.host):
        return [
            warning(
                "configuration.enrolment",
                f"enrolment is open while the server listens on {config.host}: any device that "
                "reaches it gets in.",
                'Once your boards are known, set enrolment = "registered" and restart.',
            )
        ]
    return []


def check_addresses(config: Config) -> Iterator[Finding]:
    """How people reach the API, and who stands before it, by the server's own rules."""
    for key, read in (
        ("public_url", lambda: api_url(config, config.http_port)),
        ("trusted_proxies", lambda: parse_proxies(config.trusted_proxies)),
    ):
        try:
            read()
        except ConfigError as error:
            found = f"{error.message.removesuffix('.')}; the server does not start."
            yield problem(f"configuration.{key}", found, f"Set {key} to a value that fits.")


def check_certificate(config: Config, now: datetime) -> Iterator[Finding]:
    """What HTTPS needs, as the server opens it."""
    try:
        certificate = open_certificate(config)
    except CertificateError as error:
        found = f"{error.message.removesuffix('.')}; the server does not start."
        yield problem("configuration.certificate", found, "See docs/howto/https.md.")
        return
    if certificate is None:
        return
    left = certificate.expires_at - now
    until = f"{certificate.expires_at:%Y-%m-%d %H:%M} UTC"
    renew = "Renew it; the running server takes the new files within half a minute."
    if left <= timedelta():
        found = f"the certificate {config.tls_certificate} ended on {until}: clients refuse it."
        yield problem("configuration.certificate", found, renew)
    elif left < WARN_BEFORE:
        found = f"the certificate {config.tls_certificate} ends in {left.days} days, on {until}."
        yield warning("configuration.certificate", found, renew)
    else:
        yield ok("configuration.certificate", f"the certificate is good until {until}")


def check_sign_up(config: Config) -> Iterator[Finding]:
    """Open to anybody is for one's own desk, too."""
    if config.sign_up == "open" and _is_public(config):
        yield warning(
            "configuration.sign_up",
            "sign_up is open, and others than this machine reach the API: anybody can make an "
            "account.",
            'Set sign_up = "invited" and give codes with `cyan user invite`, or "closed".',
        )


def check_mail(config: Config) -> Iterator[Finding]:
    """Mails that become files are for one's own desk, as well."""
    if not config.smtp_host and _is_public(config):
        yield warning(
            "configuration.mail",
            "there is no mail server: password resets, invitations and letters about devices "
            f"become files in {config.data.absolute() / FOLDER}, and nobody gets them.",
            "Set smtp_host and mail_from; see docs/howto/accounts.md.",
        )


def _is_public(config: Config) -> bool:
    """Whether others than this machine reach the API, be it through a web server before it."""
    if not is_loopback(config.host):
        return True
    try:
        url = urlsplit(api_url(config, config.http_port))
    except ConfigError:
        return False  # told already
    return not is_loopback(url.hostname or "")


def _from_file(path: object, findings: list[Finding]) -> list[_Given]:
    if path is None:
        return []
    try:
        values = tomllib.loads(Path(str(path)).read_text())
    except OSError as error:
        found = f"the configuration file {path} cannot be read: {error.strerror}."
        step = f"Make it readable, or name another with --config or {_FILE_VARIABLE}."
        findings.append(problem("configuration.file", found, step))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        found = f"the configuration file {path} is not TOML: {error}."
        findings.append(problem("configuration.file", found, "Mend that line; see toml.io."))
    else:
        return [_Given(key, value, str(path)) for key, value in values.items()]
    return []


def _from_environment(environment: Mapping[str, str]) -> list[_Given]:
    return [
        _Given(name.removeprefix(ENV_PREFIX).lower(), text, name)
        for name, text in sorted(environment.items())
        if name.startswith(ENV_PREFIX) and name != _FILE_VARIABLE and text
    ]


def _from_options(options: Mapping[str, object]) -> list[_Given]:
    return [
        _Given(key, value, f"--{key.replace('_', '-')}")
        for key, value in options.items()
        if key != "config" and value is not None
    ]


def _fault(given: _Given) -> Finding | None:
    """What is wrong with one setting, by the server's own rules."""
    if given.key not in _KEYS:
        near = difflib.get_close_matches(given.key, _KEYS, n=1)
        return problem(
            "configuration.unknown_key",
            f"there is no setting {given.key} ({given.source}); the server does not start with it.",
            f"Is {near[0]} meant?"
            if near
            else "Take it out. docs/reference/settings.md has all settings.",
        )
    try:
        load_config({given.key: given.value}, environment={})
    except ConfigError as error:
        found = f"{error.message.removesuffix('.')} ({given.source}); the server does not start."
        return problem("configuration.value", found, f"Set {given.key} to a value that fits.")
    return None
