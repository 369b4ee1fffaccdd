"""The settings: whether each of them is known and fits, and where it comes from."""

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from cyan.cli.doctoring.finding import Finding, ok, problem, warning
from cyan.cli.doctoring.hosts import is_loopback
from cyan.core.config import ENV_PREFIX, Config, load_config
from cyan.core.errors import ConfigError

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
    options: Mapping[str, object], environment: Mapping[str, str] | None = None
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
