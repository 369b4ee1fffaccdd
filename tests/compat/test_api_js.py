"""particle-api-js, unchanged: what a program of a person does."""

import pytest

from tests.compat.clients import Json, ParticleApi
from tests.compat.rows import proves
from tests.compat.server import Server, SimulatedDevice

UNKNOWN_ID = "0123456789abcdef01234567"


@pytest.fixture
def token(server: Server) -> str:
    return server.ready.access_token


@pytest.fixture
def device(server: Server) -> SimulatedDevice:
    return server.own_devices[0]


@pytest.fixture
def claimed(api_js: ParticleApi, server: Server, token: str) -> SimulatedDevice:
    api_js.call("claimDevice", deviceId=server.free_device.id, auth=token)
    return server.free_device


def _log_in(api_js: ParticleApi, server: Server, **options: Json) -> Json:
    ready = server.ready
    return api_js.call("login", username=ready.username, password=ready.password, **options)


@proves("login()", "getUserInfo()")
def test_login_gives_a_token_with_its_life_time(api_js: ParticleApi, server: Server) -> None:
    answer = _log_in(api_js, server, tokenDuration=3600)
    assert answer["statusCode"] == 200
    body = answer["body"]
    assert (body["token_type"], body["expires_in"]) == ("bearer", 3600)
    user = api_js.call("getUserInfo", auth=body["access_token"])["body"]
    assert user["username"] == server.ready.username


def test_login_with_a_wrong_password_is_refused(api_js: ParticleApi, server: Server) -> None:
    refusal = api_js.refusal("login", username=server.ready.username, password="guess")
    assert refusal["statusCode"] == 400
    assert refusal["body"]["error"] == "invalid_grant"
    assert refusal["body"]["error_description"] == "User credentials are invalid"


@proves("deleteCurrentAccessToken()")
def test_delete_current_access_token_ends_it(api_js: ParticleApi, server: Server) -> None:
    token = _log_in(api_js, server)["body"]["access_token"]
    assert api_js.call("deleteCurrentAccessToken", auth=token)["body"] == {"ok": True}
    assert api_js.refusal("listDevices", auth=token)["statusCode"] == 401


@proves("deleteAccessToken()")
def test_delete_access_token_needs_nothing_but_the_token(
    api_js: ParticleApi, server: Server
) -> None:
    token = _log_in(api_js, server)["body"]["access_token"]
    assert api_js.call("deleteAccessToken", token=token)["body"] == {"ok": True}
    assert api_js.refusal("listDevices", auth=token)["statusCode"] == 401


@proves("trackingIdentity()")
def test_tracking_identity_names_the_person(
    api_js: ParticleApi, server: Server, token: str
) -> None:
    assert api_js.call("trackingIdentity", auth=token)["body"]["email"] == server.ready.username


@proves("listDevices()")
def test_list_devices_is_a_bare_array(api_js: ParticleApi, server: Server, token: str) -> None:
    listed = {row["id"]: row for row in api_js.call("listDevices", auth=token)["body"]}
    for device in server.own_devices:
        assert (listed[device.id]["name"], listed[device.id]["connected"]) == (device.name, True)


@proves("getDevice()")
def test_get_device_by_id_and_by_name_is_the_same(
    api_js: ParticleApi, device: SimulatedDevice, token: str
) -> None:
    by_id = api_js.call("getDevice", deviceId=device.id, auth=token)["body"]
    by_name = api_js.call("getDevice", deviceId=device.name, auth=token)["body"]
    assert by_id["id"] == by_name["id"] == device.id
    assert by_id["online"] is True
    assert by_id["variables"] == {
        "answer": "int32",
        "temperature": "double",
        "ready": "bool",
        "greeting": "string",
    }
    assert sorted(by_id["functions"]) == ["echo", "led"]
    assert by_id["system_firmware_version"] != ""


def test_an_unknown_device_is_refused_as_clients_expect(api_js: ParticleApi, token: str) -> None:
    refusal = api_js.refusal("getDevice", deviceId=UNKNOWN_ID, auth=token)
    assert refusal["statusCode"] == 403
    assert refusal["body"]["error"] == "Permission Denied"


def test_a_request_without_a_token_is_refused(api_js: ParticleApi) -> None:
    refusal = api_js.refusal("listDevices")
    assert refusal["statusCode"] == 400
    assert refusal["body"]["error"] == "invalid_request"


@proves("claimDevice()", "renameDevice()", "setDeviceNotes()", "removeDevice()")
def test_claim_rename_note_and_remove(
    api_js: ParticleApi, claimed: SimulatedDevice, token: str
) -> None:
    again = api_js.call("claimDevice", deviceId=claimed.id, auth=token)["body"]
    assert (again["ok"], again["id"]) == (True, claimed.id)
    api_js.call("renameDevice", deviceId=claimed.id, name="attic", auth=token)
    api_js.call("setDeviceNotes", deviceId=claimed.id, notes="by the window", auth=token)
    body = api_js.call("getDevice", deviceId="attic", auth=token)["body"]
    assert (body["id"], body["name"], body["notes"]) == (claimed.id, "attic", "by the window")
    assert api_js.call("removeDevice", deviceId=claimed.id, auth=token)["body"]["ok"] is True
    assert api_js.refusal("getDevice", deviceId=claimed.id, auth=token)["statusCode"] == 403


@proves("updateDevice()")
def test_several_things_of_a_device_are_changed_at_once(
    api_js: ParticleApi, device: SimulatedDevice, token: str
) -> None:
    one: dict[str, Json] = {"deviceId": device.id, "auth": token}
    before, changed, seen, back = api_js.call_all(
        ("getDevice", one),
        ("updateDevice", {**one, "name": "porch", "notes": "by the door", "signal": True}),
        ("getDevice", one),
        ("updateDevice", {**one, "name": device.name, "notes": "", "signal": False}),
    )
    assert changed["body"].keys() >= {"id", "name", "notes", "signaling", "updated_at"}
    assert changed["body"]["signaling"] is True
    assert (seen["body"]["name"], seen["body"]["notes"]) == ("porch", "by the door")
    assert (back["body"]["name"], back["body"]["signaling"]) == (before["body"]["name"], False)


@proves("getVariable()")
def test_get_variable_keeps_its_type(
    api_js: ParticleApi, device: SimulatedDevice, token: str
) -> None:
    def read(name: str) -> Json:
        body = api_js.call("getVariable", deviceId=device.id, name=name, auth=token)["body"]
        assert body["coreInfo"]["connected"] is True
        return body["result"]

    assert read("answer") == 42
    assert isinstance(read("temperature"), float)
    assert isinstance(read("ready"), bool)
    assert isinstance(read("greeting"), str)


@proves("callFunction()")
def test_call_function_returns_a_number(
    api_js: ParticleApi, device: SimulatedDevice, token: str
) -> None:
    answer = api_js.call(
        "callFunction", deviceId=device.id, name="echo", argument="grün", auth=token
    )
    assert (answer["body"]["return_value"], answer["body"]["connected"]) == (5, True)


@pytest.mark.parametrize(
    ("method", "options"),
    [("getVariable", {"name": "nothing"}), ("callFunction", {"name": "nothing", "argument": ""})],
)
def test_an_unknown_variable_or_function_is_not_found(
    api_js: ParticleApi, device: SimulatedDevice, token: str, method: str, options: Json
) -> None:
    refusal = api_js.refusal(method, deviceId=device.id, auth=token, **options)
    assert (refusal["statusCode"], refusal["body"]["ok"]) == (404, False)


@pytest.mark.parametrize("signal", [True, False])
@proves("signalDevice()")
def test_signal_device_tells_what_the_device_does(
    api_js: ParticleApi, device: SimulatedDevice, token: str, signal: bool
) -> None:
    body = api_js.call("signalDevice", deviceId=device.id, signal=signal, auth=token)["body"]
    assert (body["id"], body["connected"], body["signaling"]) == (device.id, True, signal)


@proves("getEventStream()", "publishEvent()")
def test_an_event_stream_brings_what_is_published(
    api_js: ParticleApi, server: Server, token: str
) -> None:
    with api_js.stream(1, deviceId="mine", name="porch/light & more", auth=token) as reader:
        answer = api_js.call(
            "publishEvent", name="porch/light & more", data='{"on":true}', auth=token
        )
        assert answer["body"]["ok"] is True
        (event,) = reader.events()
    assert (event["name"], event["data"], event["coreid"]) == (
        "porch/light & more",
        '{"on":true}',
        "api",
    )


def test_the_stream_of_one_device_brings_its_events(
    api_js: ParticleApi, device: SimulatedDevice, token: str
) -> None:
    with api_js.stream(2, deviceId=device.id, auth=token) as reader:
        events = reader.events()
    assert {event["coreid"] for event in events} == {device.id}


def test_the_stream_of_everybody_needs_a_prefix(api_js: ParticleApi, token: str) -> None:
    refusal = api_js.refusal("getEventStream", auth=token)
    assert refusal["statusCode"] == 400
    assert refusal["body"]["error"] == "event prefix filter is required"


def test_what_is_not_built_says_so_in_json(api_js: ParticleApi, token: str) -> None:
    refusal = api_js.refusal("listProducts", auth=token)
    assert refusal["statusCode"] == 501
    assert isinstance(refusal["body"]["error"], str)
