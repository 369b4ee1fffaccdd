"""`python -m bench [names]`: measure, print the table; the whole of it also goes to RESULTS.md."""

import argparse
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from bench import api, events, fanout, handshakes, logins, machine, ota, pages, sessions, tcp
from bench.figures import RESULTS, Findings, report, write_results
from bench.settings import Settings

Scenario = Callable[[Settings, Path], Findings]

SCENARIOS: dict[str, Scenario] = {
    "api": api.measure,
    "events-noop": events.measure_noop,
    "events-real": events.measure_real,
    "handshakes": handshakes.measure,
    "tcp": tcp.measure,
    "fanout": fanout.measure,
    "logins": logins.measure,
    "ota": ota.measure,
    "pages": pages.measure,
    "sessions": sessions.measure,
}

SCRATCH = Path(__file__).parent.parent / "build" / "bench"
"""On the disk where the source is: a folder in memory would make commits look cheap."""

LEAST_RUNS = 3
USUAL_RUNS = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(SCENARIOS))
    parser.add_argument("--runs", type=int, default=USUAL_RUNS, help="of each thing; medians count")
    parser.add_argument("--scale", type=float, default=1.0, help="less than 1 for shorter runs")
    parser.add_argument("--profile", action="store_true", help="sample the server by py-spy")
    options = parser.parse_args()
    if unknown := set(options.names) - set(SCENARIOS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    server_core, generator_core = machine.two_cores()
    machine.pin(generator_core)
    settings = Settings(server_core, generator_core, options.runs, options.scale, options.profile)
    findings = Findings()
    for name in options.names or SCENARIOS:
        print(f"{name} …", flush=True)
        shutil.rmtree(SCRATCH / name, ignore_errors=True)
        (SCRATCH / name).mkdir(parents=True)
        findings.extend(SCENARIOS[name](settings, SCRATCH / name))
        shutil.rmtree(SCRATCH / name)
    text = report(findings, _head(settings))
    print("\n" + text)
    is_whole = not options.names and settings.runs >= LEAST_RUNS and settings.scale >= 1
    if is_whole and not settings.profile:
        write_results(text)
        print(f"Written to {RESULTS.relative_to(Path.cwd())}.")


def _head(settings: Settings) -> str:
    return (
        "# Results of `make bench`\n\n"
        f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, commit {machine.commit()}, "
        f"{machine.describe()}. Medians of {settings.runs} runs; the server's process on one core, "
        "the generator's on another, each floor measured in turns with what it is the floor of. "
        "What each line means is in `bench/README.md`."
    )


main()
