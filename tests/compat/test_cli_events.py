"""particle-cli, unchanged: publishing, and listening to streams."""

from tests.compat.clients import ParticleCli
from tests.compat.rows import proves
from tests.compat.server import Server

FIELDS = {"data", "ttl", "published_at", "coreid", "name"}
"""What every event has; personal streams may carry more (rest-api-core.md §10.5)."""


@proves("publish")
def test_publish_tells_that_it_is_done(cli: ParticleCli) -> None:
    assert cli.succeed("publish", "alarm", "loud") == ["Published event: alarm"]


def test_publish_of_a_reserved_name_fails(cli: ParticleCli) -> None:
    assert cli.run("publish", "spark/alarm", "loud").code == 1


@proves("subscribe")
def test_subscribe_hears_what_the_same_person_publishes(
    cli: ParticleCli, fresh_cli: ParticleCli
) -> None:
    with cli.subscribed(2, "kitchen/") as reader:
        fresh_cli.succeed("publish", "cellar/light", "not this one")
        fresh_cli.succeed("publish", "kitchen/light", "sunny — 21 °C")
        fresh_cli.succeed("publish", "kitchen/door")
        first, second = reader.events()
    assert first.keys() >= FIELDS
    assert (first["name"], first["data"], first["coreid"]) == (
        "kitchen/light",
        "sunny — 21 °C",
        "api",
    )
    assert second["name"] == "kitchen/door"


def test_subscribe_hears_the_devices_of_the_person_and_no_others(
    cli: ParticleCli, server: Server
) -> None:
    own = {device.id for device in server.own_devices}
    with cli.subscribed(3 * len(own), "heartbeat") as reader:
        events = reader.events()
    assert {event["coreid"] for event in events} == own
    assert all(event["data"].startswith(f"{event['coreid']}-") for event in events)


def test_subscribe_to_one_device_hears_that_device_only(cli: ParticleCli, server: Server) -> None:
    device = server.own_devices[0]
    with cli.subscribed(2, "--device", device.id) as reader:
        assert {event["coreid"] for event in reader.events()} == {device.id}


def test_subscribe_ends_when_the_awaited_data_comes(
    cli: ParticleCli, fresh_cli: ParticleCli
) -> None:
    with cli.subscribed(10, "oven", "--until", "done") as reader:
        fresh_cli.succeed("publish", "oven", "heating")
        fresh_cli.succeed("publish", "oven", "done")
        assert [event["data"] for event in reader.events()] == ["heating", "done"]


def test_subscribe_to_the_device_of_another_fails(cli: ParticleCli, server: Server) -> None:
    assert cli.run("subscribe", "--device", server.free_device.id, "--max", "1").code != 0
