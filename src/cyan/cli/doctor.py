"""`cyan doctor`: looks at an installation from all sides, and says what to do next."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import click

from cyan import __version__
from cyan.cli.doctoring.configuration import read_settings
from cyan.cli.doctoring.examination import CONFIGURATION, Findings, examine
from cyan.cli.doctoring.installation import look_at
from cyan.cli.doctoring.report import as_json, count, group_lines, line_width, summary_line
from cyan.cli.doctoring.testdevice import ENDINGS
from cyan.cli.options import server_options
from cyan.core import log
from cyan.core.clock import SystemClock


@click.command()
@server_options
@click.option(
    "--server-key",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="A key file that boards have, to compare; may be given several times.",
)
@click.option("--no-self-test", is_flag=True, help="Do not let a test device connect.")
@click.option("-v", "--verbose", is_flag=True, help="Show also what is well.")
@click.option("--json", "as_json_", is_flag=True, help="Print one JSON object.")
def doctor(
    server_key: tuple[Path, ...], no_self_test: bool, verbose: bool, as_json_: bool, **options: Any
) -> None:
    """Look for what is wrong, and say what to do. Ends with 1 when there is a problem.

    Looks at settings, data folder, database, keys, ports and clock; at a running server, refused
    devices and those that never came. When a server runs, a test device connects to it, and is
    removed again. Changes nothing else.
    """
    # What the parts of the server log while they are looked at is not for this command's reader.
    log.configure("text", "critical")
    _end_in_order()
    settings = read_settings(options)
    installation = look_at(settings.config, SystemClock(), server_key)
    groups: list[Findings] = []
    if not as_json_:
        click.echo(f"Cyan {__version__}, data folder {installation.folder}\n")
    width = line_width()

    def tell(found: Findings) -> None:
        groups.append(found)
        if not as_json_:
            for line in group_lines(found, verbose=verbose, width=width):
                click.echo(line)

    tell(Findings(CONFIGURATION, settings.findings))
    for found in examine(installation, self_test=not no_self_test):
        tell(found)
    click.echo(
        as_json(groups, str(installation.folder)) if as_json_ else f"\n{summary_line(groups)}"
    )
    problems, _ = count(groups)
    sys.exit(1 if problems else 0)


def _end_in_order() -> None:
    """Whoever ends this command ends it once: what is then cleaned up is not disturbed again."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in ENDINGS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in ENDINGS:
        signal.signal(number, interrupt)
