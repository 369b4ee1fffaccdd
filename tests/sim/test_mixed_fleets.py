"""Fleets of different boards: who they are, and what cannot be."""

from pathlib import Path

import pytest

from cyan.sim.describing import TooLongError
from cyan.sim.options import parse
from cyan.sim.plan import make_boards, make_fleet, make_plans
from cyan.sim.run import main
from tests.sim.udp_cloud import server_key_file

MIX = ["--mix", "photon:1.5:2", "--mix", "argon:1"]


def test_each_device_has_the_key_of_its_transport() -> None:
    boards = make_boards(parse([*MIX, "--print-keys"]).shares)
    identities = make_fleet("seed", boards)
    assert [identity.describe()["transport"] for identity in identities] == ["tcp", "tcp", "udp"]
    assert len({identity.public_key_pem for identity in identities}) == 3
    assert [len(identity.public_key_pem) > 200 for identity in identities] == [True, True, False]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--platform", "photon", "--firmware", "6.2"],
        ["--platform", "p2", "--firmware", "3.3"],
        ["--mix", "argon:6.2:0"],
        ["--mix", "toaster:1"],
    ],
)
def test_boards_that_never_were_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse([*arguments, "--print-keys"])
    assert "usage" in capsys.readouterr().err


def test_an_application_that_old_firmware_has_no_room_for_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    behaviour, key = tmp_path / "many.toml", tmp_path / "key.der"
    behaviour.write_text(
        "".join(f"[functions.function_number_{number:03}]\nresult = 0\n" for number in range(60))
    )
    key.write_bytes(server_key_file())
    arguments = ["--server-key", str(key), "--behaviour", str(behaviour), "--platform", "argon"]
    old = parse([*arguments, "--firmware", "2.3"])
    boards = make_boards(old.shares)
    with pytest.raises(TooLongError):
        make_plans(old, make_fleet("seed", boards), boards)
    new = parse([*arguments, "--firmware", "3.3"])
    boards = make_boards(new.shares)
    assert len(make_plans(new, make_fleet("seed", boards), boards)) == len(boards)
    assert main(old) == 2
    assert "2.3" in capsys.readouterr().err
