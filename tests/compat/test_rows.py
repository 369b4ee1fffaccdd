"""The page of commands and methods says only what tests show."""

import ast
from pathlib import Path

import pytest

from tests.compat.clients import ParticleCli, methods_of_api_js
from tests.compat.rows import COMMANDS, METHODS, NAMES, proofs, proves

HERE = Path(__file__).parent

OTHER_NAMES = {"call", "cloud", "doctor", "get", "monitor"}
"""Second names of commands that have a row under their first."""


def test_a_row_that_does_not_exist_cannot_be_proven() -> None:
    with pytest.raises(ValueError, match="device paint"):
        proves("device paint")


def test_every_row_stands_once() -> None:
    names = [row.name for row in (*COMMANDS, *METHODS)]
    assert len(names) == len(set(names)) == len(NAMES)


def test_what_tests_declare_is_read_from_their_files() -> None:
    found = proofs()
    assert found.keys() <= NAMES
    assert (
        "test_cli_devices.py::test_device_rename_gives_a_name_that_works_in_place_of_the_id"
        in (found["device rename"])
    )


def test_what_is_left_out_or_expected_to_fail_proves_nothing() -> None:
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            marks = " ".join(ast.unparse(mark) for mark in getattr(node, "decorator_list", []))
            assert "proves(" not in marks or ("skip" not in marks and "xfail" not in marks)


def test_the_methods_are_those_of_the_real_package(stock_clients: None) -> None:
    assert {row.name for row in METHODS} == {f"{name}()" for name in methods_of_api_js()}


def test_the_commands_begin_as_those_of_the_real_package(fresh_cli: ParticleCli) -> None:
    said = fresh_cli.run("help").errors  # that is where it writes it
    listed = said.partition("Commands:\n")[2].partition("\n\n")[0]
    offered = {line.split()[0] for line in listed.strip().splitlines()}
    rows = {row.name.split()[0] for row in COMMANDS}
    assert offered - rows == OTHER_NAMES
    assert rows - offered == {"help", "version"}
