"""particle-api-js, unchanged: what a set-up app does before it talks to a device."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.compat.clients import ParticleApi
from tests.compat.rows import proves
from tests.compat.server import Server


def public_key() -> str:
    """A new key's public half, as a device of today has it."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


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


@proves("sendPublicKey()")
def test_a_key_makes_a_device_known(api_js: ParticleApi, server: Server) -> None:
    device_id = "e00fce68" + "0" * 15 + "1"
    answer = api_js.call(
        "sendPublicKey",
        deviceId=device_id,
        key=public_key(),
        algorithm="ecc",
        auth=server.ready.access_token,
    )
    assert answer["statusCode"] == 200
    assert len(server.run("device", "list").splitlines()) > len(server.ready.devices)


@proves("provisionDevice()")
def test_an_id_is_made_for_a_device_of_a_platform(api_js: ParticleApi, server: Server) -> None:
    body = api_js.call("provisionDevice", productId=6, auth=server.ready.access_token)["body"]
    assert len(body["id"]) == 24


@proves("lookupSerialNumber()")
def test_a_device_is_found_by_the_serial_number_on_its_label(
    api_js: ParticleApi, server: Server, tmp_path: Path
) -> None:
    device = server.own_devices[0]
    labels = tmp_path / "labels.csv"
    labels.write_text(f"device_id,serial_number\n{device.id},P046AC123456\n")
    server.run("device", "import", str(labels))
    body = api_js.call(
        "lookupSerialNumber", serialNumber="P046AC123456", auth=server.ready.access_token
    )["body"]
    assert (body["device_id"], body["serial_number"]) == (device.id, "P046AC123456")
