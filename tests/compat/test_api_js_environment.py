"""particle-api-js, unchanged: environment variables, edited, reviewed and rolled out."""

from tests.compat.clients import ParticleApi
from tests.compat.rows import proves
from tests.compat.server import Server


@proves(
    "listEnvVars()",
    "updateEnvVars()",
    "setEnvVar()",
    "deleteEnvVar()",
    "renderEnvVars()",
    "reviewEnvVarsRollout()",
    "startEnvVarsRollout()",
)
def test_variables_are_edited_reviewed_and_rolled_out(api_js: ParticleApi, server: Server) -> None:
    mine = {"sandbox": True, "auth": server.ready.access_token}
    changes = [
        {"op": "Set", "key": "COLOUR", "value": "green"},
        {"op": "Set", "key": "SIZE", "value": "9"},
    ]
    edited, added, deleted, listed, before, started, after = (
        answer["body"]
        for answer in api_js.call_all(
            ("updateEnvVars", {"ops": changes, **mine}),
            ("setEnvVar", {"key": "ROOM", "value": "attic", **mine}),
            ("deleteEnvVar", {"key": "SIZE", **mine}),
            ("listEnvVars", mine),
            ("reviewEnvVarsRollout", mine),
            ("startEnvVarsRollout", {"when": "Immediate", **mine}),
            ("renderEnvVars", mine),
        )
    )
    assert edited["latest"]["own"].keys() == {"COLOUR", "SIZE"}
    assert added["latest"]["own"]["ROOM"] == {"value": "attic"}
    assert "SIZE" not in deleted["latest"]["own"]
    assert listed == deleted
    assert before["from_snapshot"]["changes"] == [
        {"op": "Added", "key": "COLOUR", "after": "green"},
        {"op": "Added", "key": "ROOM", "after": "attic"},
    ]
    assert started == {"success": True}
    assert after["env"] == {"COLOUR": "green", "ROOM": "attic"}


def test_variables_of_one_device_stand_above_those_of_the_account(
    api_js: ParticleApi, server: Server
) -> None:
    token = server.ready.access_token
    device = server.own_devices[0].id
    one = {"deviceId": device, "auth": token}
    api_js.call_all(
        ("setEnvVar", {"key": "COLOUR", "value": "green", "sandbox": True, "auth": token}),
        ("startEnvVarsRollout", {"when": "Immediate", "sandbox": True, "auth": token}),
        ("setEnvVar", {"key": "COLOUR", "value": "red", **one}),
        ("startEnvVarsRollout", {"when": "Connect", **one}),
    )
    assert api_js.call("renderEnvVars", **one)["body"]["env"]["COLOUR"] == "red"
