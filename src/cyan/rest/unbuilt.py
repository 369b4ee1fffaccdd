"""Every other method and path of the platform's API: known, but not built here yet.

They answer 501 with a JSON error that says what is missing, after the token has been checked where
the platform asks for one; so a tool tells "not here" from "no such thing". Whoever builds one takes
its line out. Sources: rest-api-core.md §6 to §21, rest-api-products.md §2.
"""

from collections.abc import Iterator

from starlette.responses import Response

from cyan.rest.auth import Auth
from cyan.rest.call import Call
from cyan.rest.errors import not_implemented
from cyan.rest.registry import Endpoint, Route

_ROOTS = {"S": "/v1", "P": "/v1/products/{product}", "O": "/v1/orgs/{org}"}
"""Sandbox (a person's own), product, organization: many paths exist under two or three of them."""

_AUTH = {
    "POST /v1/products/{product}/customers": Auth.NONE,
}
"""Where the platform asks for no token (rest-api-core.md §1.2); every other line asks for one."""

_TABLE = {
    "OAuth clients of products are not built yet.": """
        GET POST           P  /clients
        PUT DELETE         P  /clients/{client}
    """,
    "Claim codes for the customers of a product are not built yet.": """
        POST               P  /device_claims
    """,
    "Device protection is not built yet.": """
        PUT                SPO /devices/{device}/unprotect
    """,
    "Backup files and documents of Linux devices are not built yet.": """
        PUT                S  /devices/{device}/backup_files
        GET PATCH          P  /devices/{device}/docs/{document}
        POST               P  /registration_code
        PUT                P  /devices/{device}/target_profile
    """,
    "Search in organizations is not built yet.": """
        GET                O  /search
    """,
    "Products are not built yet.": """
        GET POST           S  /products
        GET POST           S  /user/products
        GET POST           O  /products
        PUT DELETE         S  /products/{product}
    """,
    "Organizations are not built yet.": """
        GET                S  /orgs
        GET                S  /orgs/{org}
    """,
    "Devices of products and organizations are not built yet.": """
        GET                PO /devices
        GET                PO /devices/{device}
        POST PUT           P  /devices
        PUT DELETE         P  /devices/{device}
        DELETE             P  /devices/{device}/owner
        PUT                P  /devices/{device}/ping
        GET POST           P  /devices/{device}/{name}
        GET                P  /device_orders
    """,
    "Events of products and organizations are not built yet.": """
        GET POST           PO /events
        GET                PO /events/{prefix*}
        GET                PO /devices/{device}/events
        GET                PO /devices/{device}/events/{prefix*}
        GET                O  /products/{product}/events
        GET                O  /products/{product}/events/{prefix*}
    """,
    "Integrations and webhooks are not built yet.": """
        GET POST           SPO /integrations
        GET PUT DELETE     SPO /integrations/{integration}
        POST               SPO /integrations/{integration}/test
        GET POST           SP /webhooks
        GET DELETE         SP /webhooks/{webhook}
    """,
    "Firmware of products is not built yet.": """
        GET POST           P  /firmware
        PUT                P  /firmware/release
        GET PUT DELETE     P  /firmware/{version}
        GET                P  /firmware/{version}/binary
    """,
    "Vitals of product devices are not built yet.": """
        GET                P  /diagnostics/{device}/summary
        GET                P  /diagnostics/{device}
        GET                P  /diagnostics/{device}/last
        GET                P  /diagnostics/{device}/metadata
        POST               P  /diagnostics/{device}/update
    """,
    "Fleet metrics are not built yet.": """
        GET                P  /metrics/online
        GET                P  /metrics/events
        GET                P  /metrics/integration
        GET                P  /metrics/functions
        GET                P  /metrics/variables
    """,
    "SIM cards are managed by the carrier; this server does not.": """
        GET POST           SP /sims
        GET                P  /sims/data_usage
        GET HEAD PUT DELETE  SP /sims/{iccid}
        GET                SP /sims/{iccid}/data_usage
        GET                SP /sims/{iccid}/status
    """,
    "Environment variables of products and organizations are not built yet.": """
        GET PATCH          PO /env
        GET                PO /env/render
        GET POST           PO /env/rollout
        PUT DELETE         PO /env/{key}
    """,
    "Secrets of organizations are not built yet.": """
        GET POST           O  /secrets
        GET PUT DELETE     O  /secrets/{secret}
    """,
    "Logic is not built yet.": """
        POST               SPO /logic/execute
        GET POST           SPO /logic/functions
        GET PUT DELETE     SPO /logic/functions/{function}
        GET                SPO /logic/functions/{function}/stats
        GET                SPO /logic/functions/{function}/runs
        GET                SPO /logic/functions/{function}/runs/{run}
        GET                SPO /logic/functions/{function}/runs/{run}/logs
    """,
    "Ledgers of products and organizations are not built yet.": """
        GET POST           PO /ledgers
        GET PUT DELETE     PO /ledgers/{ledger}
        GET                PO /ledgers/{ledger}/instances
        GET PUT DELETE     PO /ledgers/{ledger}/instances/{scope}
        GET                PO /ledgers/{ledger}/instances/{scope}/versions
        GET                PO /ledgers/{ledger}/instances/{scope}/versions/{version}
    """,
    "Device groups are not built yet.": """
        GET POST           P  /groups
        GET PUT DELETE     P  /groups/{group}
        GET                P  /impact
    """,
    "Teams and API users are not built yet.": """
        GET POST           PO /team
        PUT POST DELETE    PO /team/{username}
        PUT POST           PO /team/{username}/token
    """,
    "Provisioning of people by SCIM is not built yet.": """
        GET POST           O  /team/provision/Users
        GET PUT PATCH DELETE  O  /team/provision/Users/{user}
        GET                O  /team/provision/ServiceProviderConfig
        GET                O  /team/provision/Schemas
        GET                O  /team/provision/ResourceTypes
    """,
    "Customers of products are not built yet.": """
        GET POST           P  /customers
        PUT DELETE         P  /customers/{email}
    """,
    "Configuration of product devices is not built yet.": """
        GET PUT DELETE     P  /config
        GET PUT DELETE     P  /config/{device}
    """,
    "Locations of product devices are not built yet.": """
        GET                P  /locations
        GET                P  /locations/{device}
        GET                P  /fleet_locations
    """,
    "Service agreements, usage and bills are not built yet.": """
        GET                O  /service_agreements
        GET                S  /user/service_agreements
        POST               O  /service_agreements/{agreement}/usage_reports
        POST               S  /user/service_agreements/{agreement}/usage_reports
        GET                O  /service_agreements/{agreement}/notifications
        GET                S  /user/service_agreements/{agreement}/notifications
        GET                O  /usage_reports/{report}
        GET                S  /user/usage_reports/{report}
    """,
}


def routes() -> list[Route]:
    """One route for each line, method and root of the table."""
    return [route for what, lines in _TABLE.items() for route in _routes(what, lines)]


def _routes(what: str, lines: str) -> Iterator[Route]:
    endpoint = _refusing(what)
    for line in lines.strip().splitlines():
        *methods, roots, tail = line.split()
        for root in roots:
            path = _ROOTS[root] + tail
            for method in methods:
                auth = _AUTH.get(f"{method} {path}", Auth.TOKEN)
                yield Route(method, path, endpoint, auth, summary=what, is_built=False)


def _refusing(what: str) -> Endpoint:
    async def refuse(_call: Call) -> Response:
        raise not_implemented(what)

    return refuse
