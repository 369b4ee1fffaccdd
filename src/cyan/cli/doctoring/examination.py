"""All checks in their order, each for itself: what breaks one does not stop the others."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from cyan.cli.doctoring import (
    clocks,
    database,
    devices,
    folder,
    keys,
    mailing,
    ports,
    selftest,
    serving,
)
from cyan.cli.doctoring.finding import Finding, problem
from cyan.cli.doctoring.installation import Installation

Check = Callable[[Installation], Iterable[Finding]]

CONFIGURATION: Final = "configuration"
"""The group of what was found when the settings were read, before all others."""

SELF_TEST: Final = "self-test"


class Group(msgspec.Struct, frozen=True):
    """Checks that a person thinks of together; `word` begins the names of what they find."""

    name: str
    word: str
    checks: tuple[Check, ...]


GROUPS: Final = (
    Group(
        "data folder",
        "folder",
        (
            folder.check_exists,
            folder.check_owner,
            folder.check_mode,
            folder.check_space,
            folder.check_disk,
        ),
    ),
    Group(
        "database",
        "database",
        (
            database.check_wal,
            database.check_file,
            database.check_integrity,
            database.check_writer,
            database.check_contents,
        ),
    ),
    Group(
        "keys",
        "keys",
        (keys.check_udp_key, keys.check_tcp_key, keys.check_vault, keys.check_exported),
    ),
    Group(
        "ports",
        "ports",
        (
            ports.check_listening,
            ports.check_free,
            ports.check_reachable,
            ports.check_lost_datagrams,
        ),
    ),
    Group(
        "server",
        "server",
        (
            serving.check_health,
            serving.check_settings,
            serving.check_counters,
            serving.check_open_files,
        ),
    ),
    Group(
        "devices",
        "devices",
        (devices.check_refused, devices.check_again_and_again, devices.check_never_online),
    ),
    Group("mail", "mail", (mailing.check_mail_server,)),
    Group(SELF_TEST, "self_test", (selftest.check_connecting,)),
    # At the end, because a clock that jumps has had time to do so.
    Group(
        "clock",
        "clock",
        (
            clocks.check_year,
            clocks.check_newest,
            clocks.check_synchronised,
            clocks.check_steady,
        ),
    ),
)


class Findings(msgspec.Struct, frozen=True):
    """What was found in one group."""

    group: str
    findings: list[Finding]


def examine(installation: Installation, *, self_test: bool = True) -> Iterator[Findings]:
    """One group after the other, as they are done."""
    for group in GROUPS:
        if group.name == SELF_TEST and not self_test:
            continue
        findings = [found for check in group.checks for found in _run(group, check, installation)]
        yield Findings(group.name, findings)


def _run(group: Group, check: Check, installation: Installation) -> list[Finding]:
    """What a check found, up to where it broke."""
    found: list[Finding] = []
    try:
        found.extend(check(installation))
    except Exception as error:
        found.append(
            problem(
                f"{group.word}.{check.__name__.removeprefix('check_')}",
                f"this could not be looked at: {type(error).__name__}: {error}.",
                "If nothing above explains it, please report it with this text.",
            )
        )
    return found
