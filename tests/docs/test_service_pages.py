"""The pages for operators: their settings are read, their commands run, their files are there."""

import os
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from cyan.app import build
from cyan.core.config import Config, load_config
from cyan.core.db import migrate
from cyan.rest.addresses import api_url
from cyan.rest.forwarding import parse_proxies
from tests.docs.pages import ROOT, blocks, code_lines, name
from tests.system.processes import done, migrated

HOWTO = ROOT / "docs/howto"
PAGES = [
    HOWTO / page
    for page in ("run-as-a-service.md", "https.md", "behind-a-proxy.md", "back-up.md", "upgrade.md")
]


@pytest.mark.parametrize(
    ("page", "toml"),
    [(page, toml) for page in PAGES for toml in blocks(page, "toml")],
    ids=lambda value: name(value) if isinstance(value, Path) else "",
)
def test_the_settings_of_a_page_are_read(page: Path, toml: str, tmp_path: Path) -> None:
    file = tmp_path / "cyan.toml"
    file.write_text(toml)
    config = load_config(environment={}, file=file)
    assert (
        tomllib.loads(toml).items()
        <= {
            key: str(value) if isinstance(value, Path) else value
            for key, value in vars(config).items()
        }.items()
    )
    assert api_url(config, 8080) == "https://cloud.example.com"
    assert parse_proxies(config.trusted_proxies)


async def test_the_web_server_of_the_page_lets_the_largest_body_through(tmp_path: Path) -> None:
    config = Config(data=tmp_path)
    migrate.upgrade(config.database_path)
    parts = build(config)
    largest = max(route.max_body_bytes for route in parts.registry.routes)
    parts.passwords.close()
    parts.database.close()
    (nginx,) = blocks(HOWTO / "behind-a-proxy.md", "nginx")
    assert largest > 1024 * 1024  # what nginx takes unless told otherwise
    (bound,) = re.findall(r"client_max_body_size (\S+);", nginx)
    assert bound == "0"  # none: the server's own is told in JSON (tests/system/test_nginx.py)


def test_backup_and_restore_are_done_as_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    migrated(tmp_path / "cyan")
    migrated(tmp_path / "cyan-copy")
    lines = [line for line in code_lines(HOWTO / "back-up.md") if line.startswith("cyan ")]
    typed = [line for line in lines if " serve" not in line]
    assert len(typed) == 4
    settings = {"CYAN_DATA": str(tmp_path / "cyan")}
    for line in typed:
        here = line.replace("/var/lib/", f"{tmp_path}/").replace("/var/", f"{tmp_path}/")
        done(*shlex.split(here)[1:], settings=settings)
    assert {path.name for path in tmp_path.iterdir()} == {
        "backups",
        "cyan",
        "cyan-again",
        "cyan-copy",
        "cyan-restored",
    }


@pytest.mark.parametrize("language", ["nginx", "caddy"])
def test_the_lines_for_a_web_server_lead_to_the_api_and_keep_metrics_closed(language: str) -> None:
    (lines,) = blocks(HOWTO / "behind-a-proxy.md", language)
    assert "127.0.0.1:8080" in lines
    assert re.search(r"/metrics\b.*?403", lines, re.DOTALL)
    assert lines.count("{") == lines.count("}")


def test_nginx_sends_the_headers_that_the_server_reads() -> None:
    (lines,) = blocks(HOWTO / "behind-a-proxy.md", "nginx")
    # The client's own header stands before the address that nginx has seen, which is the last.
    assert "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;" in lines
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in lines
    assert "proxy_buffering off;" in lines


def test_the_unit_starts_what_the_page_installs() -> None:
    unit = (ROOT / "packaging/cyan.service").read_text()
    lines = list(code_lines(HOWTO / "run-as-a-service.md"))
    assert "ExecStart=/opt/cyan/bin/cyan serve" in unit
    assert "python3 -m venv /opt/cyan" in lines
    assert "Environment=CYAN_CONFIG=/etc/cyan.toml" in unit
    assert "export CYAN_CONFIG=/etc/cyan.toml" in lines
    assert "cp packaging/cyan.service /etc/systemd/system/" in lines


def test_the_script_of_the_page_is_there_and_can_be_run() -> None:
    assert "make wheel" in list(code_lines(HOWTO / "run-as-a-service.md"))
    assert os.access(ROOT / "scripts/wheel", os.X_OK)
