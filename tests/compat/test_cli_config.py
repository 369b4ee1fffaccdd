"""particle-cli, unchanged: environment variables and secrets of a person and of a device."""

import json

import pytest

from tests.compat.clients import Json, ParticleCli
from tests.compat.rows import proves
from tests.compat.server import Server


def _listed(cli: ParticleCli, *scope: str) -> Json:
    return json.loads("\n".join(cli.succeed("config", "env", "list", "--json", *scope)))


def test_config_env_list_speaks_of_no_changes_where_nothing_was_changed(
    cli: ParticleCli, server: Server
) -> None:
    said = cli.succeed("config", "env", "list", "--device", server.own_devices[1].id)
    assert said[-1] == "No environment variables found."


@proves("config env list", "config env set", "config env delete")
def test_config_env_sets_lists_and_deletes_variables_of_the_account(cli: ParticleCli) -> None:
    said = cli.succeed("config", "env", "set", "COLOUR", "green", "--sandbox")
    assert "Environment variable COLOUR has been successfully set." in said
    cli.succeed("config", "env", "set", "SIZE=9", "--sandbox")
    own = _listed(cli, "--sandbox")["latest"]["own"]
    assert own == {"COLOUR": {"value": "green"}, "SIZE": {"value": "9"}}
    assert any("COLOUR" in line for line in cli.succeed("config", "env", "list", "--sandbox"))
    said = cli.succeed("config", "env", "delete", "SIZE", "--sandbox")
    assert "Environment variable SIZE has been successfully deleted." in said
    assert _listed(cli, "--sandbox")["latest"]["own"] == {"COLOUR": {"value": "green"}}


def test_config_env_sets_reads_and_deletes_what_is_for_one_device(
    cli: ParticleCli, server: Server
) -> None:
    device = server.own_devices[0].id
    said = cli.succeed("config", "env", "set", "ROOM", "attic", "--device", device)
    assert "Environment variable ROOM has been successfully set." in said
    assert any(line.endswith(f"/devices/{device}?tab=env-vars") for line in said)
    state = _listed(cli, "--device", device)
    assert state["latest"]["own"] == {"ROOM": {"value": "attic"}}
    assert state["on_device"]["rendered"] == {}
    said = cli.succeed("config", "env", "delete", "ROOM", "--device", device)
    assert "Environment variable ROOM has been successfully deleted." in said
    assert _listed(cli, "--device", device)["latest"]["own"] == {}


def test_config_env_sets_what_is_for_a_device_that_never_connected(
    cli: ParticleCli, server: Server
) -> None:
    device = "e00fce680000000000000077"
    server.run("device", "add", device, "--owner", server.ready.username)
    said = cli.succeed("config", "env", "set", "ROOM", "attic", "--device", device)
    assert said[-1].endswith(f"/devices/{device}?tab=env-vars")
    assert _listed(cli, "--device", device)["latest"]["own"] == {"ROOM": {"value": "attic"}}


@proves("config secrets list", "config secrets get", "config secrets set", "config secrets delete")
def test_config_secrets_are_set_shown_without_value_and_deleted(cli: ParticleCli) -> None:
    said = cli.succeed("config", "secrets", "set", "API_KEY", "h1dden", "--sandbox")
    assert "Secret API_KEY set successfully." in said
    (secret,) = json.loads(
        "\n".join(cli.succeed("config", "secrets", "list", "--json", "--sandbox"))
    )
    assert secret["name"] == "API_KEY"
    shown = "\n".join(cli.succeed("config", "secrets", "get", "API_KEY", "--sandbox"))
    assert "Integrations: (none)" in shown
    assert "h1dden" not in shown
    said = cli.succeed("config", "secrets", "delete", "API_KEY", "--sandbox")
    assert "Secret API_KEY deleted successfully." in said


@pytest.mark.parametrize("name", ["lower", "9TH"])
def test_a_secret_with_a_name_that_cannot_be_is_refused(cli: ParticleCli, name: str) -> None:
    assert cli.run("config", "secrets", "set", name, "value", "--sandbox").code == 1
