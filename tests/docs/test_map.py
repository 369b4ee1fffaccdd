"""The import contracts and the map of CONTRIBUTING.md name every folder of the package."""

import configparser
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

SOURCE = ROOT / "src/cyan"
FOLDERS = sorted(path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists())
ROLES = ("api.py", "service.py", "access.py", "store.py", "model.py", "jobs.py")
NOT_FEATURES = {"core", "gateway", "rest"}
"""Folders with a store or a service that follow a shape of their own."""


def _is_feature(folder: str) -> bool:
    return folder not in NOT_FEATURES and any((SOURCE / folder / role).exists() for role in ROLES)


def _contract(section: str, key: str) -> str:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    return contracts[f"importlinter:{section}"][key]


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if _is_feature(folder)])
def test_every_feature_keeps_the_order_inside(folder: str) -> None:
    assert f"cyan.{folder}" in _contract("features", "containers").split()


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_is_on_the_map(folder: str) -> None:
    assert f"\n| `{folder}/` |" in (ROOT / "CONTRIBUTING.md").read_text()


def test_the_map_shows_no_folder_that_does_not_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("| Folder of `src/cyan` |")[2]
    rows = [line for line in text.partition("\n\n")[0].splitlines() if line.startswith("| `")]
    named = [row.split("`")[1] for row in rows]
    assert [place for place in named if not (SOURCE / Path(place)).exists()] == []
