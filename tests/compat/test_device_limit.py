"""particle-cli, unchanged, at the limit of a plan, and the operator who gives another."""

from tests.compat.clients import ParticleCli
from tests.compat.server import Server


def test_device_add_says_when_the_plan_is_full_and_works_when_the_operator_gives_another(
    cli: ParticleCli, server: Server
) -> None:
    owned = len(server.own_devices)
    server.run("plan", "set", "developer", "--devices", str(owned))
    outcome = cli.run("device", "add", server.free_device.id)
    assert outcome.code == 1
    assert f"The Developer plan allows {owned} devices for an account" in outcome.output
    server.run("plan", "set", "workshop", "--unlimited")
    server.run("plan", "give", server.ready.username, "workshop")
    cli.succeed("device", "add", server.free_device.id)
    assert any(server.free_device.id in line for line in cli.succeed("list"))
