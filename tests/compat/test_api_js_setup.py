"""particle-api-js, unchanged: what a set-up app does before it talks to a device."""

from tests.compat.clients import ParticleApi
from tests.compat.rows import proves
from tests.compat.server import Server


@proves("getClaimCode()")
def test_a_claim_code_comes_with_the_ids_that_one_has_already(
    api_js: ParticleApi, server: Server
) -> None:
    answer = api_js.call("getClaimCode", auth=server.ready.access_token)
    assert answer["statusCode"] == 200
    assert len(answer["body"]["claim_code"]) == 63
    own = {device.id for device in server.own_devices}
    assert own <= set(answer["body"]["device_ids"])


def test_a_claim_code_for_a_device_with_a_sim_is_the_same(
    api_js: ParticleApi, server: Server
) -> None:
    answer = api_js.call(
        "getClaimCode", iccid="8934076500002589174", auth=server.ready.access_token
    )
    assert len(answer["body"]["claim_code"]) == 63
