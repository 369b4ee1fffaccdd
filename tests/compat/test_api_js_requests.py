"""particle-api-js, unchanged: its helpers for requests that have no method of their own."""

from tests.compat.clients import ParticleApi
from tests.compat.rows import proves
from tests.compat.server import Server


@proves("get()", "post()", "put()", "patch()", "delete()", "request()")
def test_requests_of_every_method_are_answered_in_json(api_js: ParticleApi, server: Server) -> None:
    mine = {"auth": server.ready.access_token}
    one = f"/v1/devices/{server.own_devices[0].id}"
    step = {"op": "Set", "key": "COLOUR", "value": "green"}
    answers = api_js.call_all(
        ("get", {"uri": "/v1/user/identify", **mine}),
        ("post", {"uri": "/v1/devices/events", "data": {"name": "lamp"}, **mine}),
        ("put", {"uri": f"{one}/ping", **mine}),
        ("patch", {"uri": "/v1/env", "data": {"ops": [step]}, **mine}),
        ("delete", {"uri": "/v1/env/COLOUR", **mine}),
        ("request", {"uri": one, "method": "get", **mine}),
    )
    assert [answer["statusCode"] for answer in answers] == [200] * 6
    assert answers[0]["body"]["email"] == server.ready.username
    assert answers[2]["body"] == {"online": True, "ok": True}
    assert answers[5]["body"]["id"] == server.own_devices[0].id


@proves("head()")
def test_a_head_request_comes_back_without_a_body(api_js: ParticleApi, server: Server) -> None:
    # api-js reads JSON from every 200, and a HEAD has none: it rejects, with the right status.
    refusal = api_js.refusal("head", uri="/v1/devices", auth=server.ready.access_token)
    assert refusal["statusCode"] == 200
    assert api_js.refusal("head", uri="/v1/devices")["statusCode"] == 400
