"""What clients call has a route; what this server has not yet answers 501, and with what."""

from tests.rest.asgi import Answer, ask
from tests.rest.world import World

# What particle-api-js 12.0.3 and particle-cli 3.51.0 call (rest-api-core.md §22, §23), with example
# values. Nothing is taken out when it is built.
CALLED_BY_CLIENTS = """
POST /v1/users
PUT /v1/user
DELETE /v1/user
POST /v1/user/password-reset
GET /v1/user/mfa-enable
POST /v1/user/mfa-enable
PUT /v1/user/mfa-disable
POST /v1/products/7/device_claims
PUT /v1/devices/0123456789abcdef01234567/unprotect
PUT /v1/devices/0123456789abcdef01234567/backup_files
GET /v1/clients
PUT /v1/products/7/clients/app-1234
GET /v1/products
GET /v1/products/7
GET /v1/user/products
POST /v1/orgs/acme/products
GET /v1/orgs
GET /v1/products/7/devices
POST /v1/products/7/devices
PUT /v1/products/7/devices/0123456789abcdef01234567
DELETE /v1/products/7/devices/0123456789abcdef01234567/owner
GET /v1/products/7/devices/0123456789abcdef01234567/temperature
POST /v1/products/7/devices/0123456789abcdef01234567/brew
GET /v1/products/7/events
GET /v1/products/7/events/temp%2Fin
GET /v1/products/7/devices/0123456789abcdef01234567/events
GET /v1/orgs/acme/events/temp
POST /v1/products/7/events
POST /v1/orgs/acme/events
GET /v1/integrations
POST /v1/integrations
PUT /v1/products/7/integrations/1
DELETE /v1/orgs/acme/integrations/1
GET /v1/webhooks
POST /v1/webhooks
DELETE /v1/webhooks/1
POST /v1/binaries
GET /v1/binaries/1
GET /v1/build_targets
GET /v1/device-os/versions
GET /v1/device-os/versions/latest
GET /v1/libraries
GET /v1/libraries/neopixel
GET /v1/libraries/neopixel/versions
POST /v1/libraries
PATCH /v1/libraries/neopixel
DELETE /v1/libraries/neopixel
GET /v1/sims
HEAD /v1/sims/89
DELETE /v1/sims/89
GET /v1/sims/89/data_usage
GET /v1/products/7/sims/data_usage
GET /v1/env
PATCH /v1/env/0123456789abcdef01234567
PUT /v1/env/NAME
GET /v1/products/7/env/render
POST /v1/orgs/acme/env/rollout
GET /v1/secrets
PUT /v1/secrets/NAME
POST /v1/logic/execute
GET /v1/logic/functions
GET /v1/orgs/acme/logic/functions/1/runs/2/logs
GET /v1/ledgers
PUT /v1/ledgers/a/instances/b
GET /v1/ledgers/a/instances/b/versions/3
GET /v1/products/7/firmware
PUT /v1/products/7/firmware/release
GET /v1/products/7/firmware/3/binary
GET /v1/products/7/team
DELETE /v1/products/7/team/a+b@example.com
GET /v1/products/7/config
PUT /v1/products/7/config/0123456789abcdef01234567
GET /v1/products/7/locations
GET /v1/products/7/diagnostics/0123456789abcdef01234567/last
GET /v1/orgs/acme/search
"""


async def test_what_clients_call_has_a_route_and_if_it_is_not_built_says_so(world: World) -> None:
    wrong = []
    for line in CALLED_BY_CLIENTS.strip().splitlines():
        method, path = line.split()
        match = world.registry.match(method, path.encode())
        if match is None:
            wrong.append(f"{line}: no such route")
        elif not match.route.is_built:  # else the test of the feature shows what it does
            answer = await ask(world.app, method, path, world.cast.ada.headers)
            if not _says_so(answer):
                wrong.append(f"{line}: {answer.status} {answer.body!r}")
    assert wrong == []


def _says_so(answer: Answer) -> bool:
    body = answer.json()
    return ((answer.status, body["ok"], body["error"]) == (501, False, "not_implemented")) and str(
        body["error_description"]
    ).endswith(".")
