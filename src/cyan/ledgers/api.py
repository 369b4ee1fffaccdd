"""REST: ledgers of the caller's own space (rest-api-core.md §20)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.responses import Response

from cyan.core.clock import iso_ms, to_ms
from cyan.ledgers import shapes
from cyan.ledgers.access import LedgerAccess
from cyan.ledgers.definitions import Definitions
from cyan.ledgers.instances import Instances
from cyan.ledgers.model import Definition, Instance, InvalidDataError, InvalidLedgerError, Scope
from cyan.rest.call import Call
from cyan.rest.errors import bad_request, not_implemented
from cyan.rest.registry import Reply, Route
from cyan.rest.responses import json_response, no_content

PER_PAGE: Final = 25
MAX_PER_PAGE: Final = 100
MAX_PAGE: Final = 1_000_000
_MODES: Final = ("Replace", "Merge")
_SCOPES: Final = ("Owner", "Product", "Device")
_TRUE: Final = ("true", "1")


class LedgerFields(msgspec.Struct, frozen=True):
    """What describes a ledger."""

    name: str
    scope: str
    description: str = ""
    direction: str | None = None


class LedgerRequest(msgspec.Struct, frozen=True):
    """`definition` in place of `ledger` is taken too."""

    ledger: LedgerFields


class InstanceFields(msgspec.Struct, frozen=True):
    """What a ledger is to hold."""

    data: dict[str, object]


class InstanceRequest(msgspec.Struct, frozen=True):
    """`data` without `instance` around it is taken too."""

    instance: InstanceFields


class _Endpoints:
    def __init__(
        self, access: LedgerAccess, definitions: Definitions, instances: Instances
    ) -> None:
        self._access = access
        self._definitions = definitions
        self._instances = instances

    # -- ledgers -------------------------------------------------------------------------------

    async def list(self, call: Call) -> Response:
        archived = call.query.get("archived", "").lower() in _TRUE
        found = self._access.list(call.caller, archived=archived)
        scope = call.query.get("scope")
        if scope:
            if scope not in _SCOPES:
                raise bad_request(f"scope is one of {', '.join(_SCOPES)}.")
            found = [ledger for ledger in found if ledger.scope.value == scope]
        page, per_page = _paging(call)
        shown = [self._render(ledger) for ledger in found[(page - 1) * per_page :][:per_page]]
        meta = _meta(page, per_page, len(found))
        # The documentation and api-js do not agree on the key.
        return json_response({"ledgers": shown, "ledger_definitions": shown, "meta": meta})

    async def create(self, call: Call) -> Response:
        fields = await _inner(call, "ledger", "definition")
        if fields.get("scope") == "Product":
            raise not_implemented("Ledgers of products are not built yet.")
        made = await self._definitions.create(
            call.caller,
            fields.get("name"),
            fields.get("description"),
            fields.get("scope"),
            fields.get("direction"),
        )
        return json_response({"ledger": self._render(made)}, 201)

    async def get(self, call: Call) -> Response:
        ledger = self._ledger(call)
        count, size_bytes = self._definitions.totals(ledger)
        stats = {"instance_count": count, "total_bytes": size_bytes}
        return json_response({"ledger": {**self._render(ledger), "stats": stats}})

    async def update(self, call: Call) -> Response:
        fields = await _inner(call, "ledger", "definition")
        changed = await self._definitions.update(
            call.caller, self._ledger(call), fields.get("description"), fields.get("direction")
        )
        return json_response({"ledger": self._render(changed)})

    async def archive(self, call: Call) -> Response:
        await self._definitions.archive(call.caller, self._ledger(call))
        return no_content()

    # -- instances -----------------------------------------------------------------------------

    async def list_instances(self, call: Call) -> Response:
        ledger = self._ledger(call)
        page, per_page = _paging(call)
        names = self._access.device_names(call.caller)
        found = self._instances.list_page(ledger, (page - 1) * per_page, per_page)
        count, _ = self._definitions.totals(ledger)
        shown = [_render_instance(ledger, each, names) for each in found]
        return json_response({"instances": shown, "meta": _meta(page, per_page, count)})

    async def get_instance(self, call: Call) -> Response:
        ledger = self._ledger(call)
        return self._answer(call, ledger, self._instances.get(ledger, call.path["scope"]))

    async def put_instance(self, call: Call) -> Response:
        ledger = self._ledger(call)
        mode = call.query.get("set_mode") or call.query.get("setMode") or _MODES[0]
        if mode not in _MODES:
            raise bad_request("set_mode is Replace or Merge.")
        fields = await _inner(call, "instance")
        after, is_new = await self._instances.put(
            call.caller, ledger, call.path["scope"], fields.get("data"), merge=mode == _MODES[1]
        )
        return self._answer(call, ledger, after, 201 if is_new else 200)

    async def delete_instance(self, call: Call) -> Response:
        await self._instances.delete(call.caller, self._ledger(call), call.path["scope"])
        return no_content()

    async def list_versions(self, call: Call) -> Response:
        ledger = self._ledger(call)
        names = self._access.device_names(call.caller)
        after_ms, before_ms = (
            _read_date(call, "replaced_after"),
            _read_date(call, "replaced_before"),
        )
        found = self._instances.list_versions(ledger, call.path["scope"], after_ms, before_ms)
        shown = [_render_instance(ledger, each, names) for each in found]
        return json_response({"versions": shown, "meta": {"has_more": False}})

    async def get_version(self, call: Call) -> Response:
        ledger = self._ledger(call)
        value, version = call.path["scope"], call.path["version"]
        return self._answer(call, ledger, self._instances.get_version(ledger, value, version))

    # -- both ----------------------------------------------------------------------------------

    def _ledger(self, call: Call) -> Definition:
        return self._access.get(call.caller, call.path["ledger"])

    def _answer(
        self, call: Call, ledger: Definition, instance: Instance, status: int = 200
    ) -> Response:
        names = self._access.device_names(call.caller)
        return json_response({"instance": _render_instance(ledger, instance, names)}, status)

    @staticmethod
    def _render(ledger: Definition) -> dict[str, object]:
        archived = ledger.archived_at_ms
        return {
            "scope": ledger.scope.value,
            "name": ledger.name,
            "description": ledger.description,
            "direction": ledger.direction and ledger.direction.value,
            "created_at": iso_ms(ledger.created_at_ms),
            "updated_at": iso_ms(ledger.updated_at_ms),
            "archived_at": None if archived is None else iso_ms(archived),
        }


def _render_instance(
    ledger: Definition, instance: Instance, names: Mapping[str, str | None]
) -> dict[str, object]:
    value = instance.scope_value
    scope: dict[str, object] = {"type": ledger.scope.value, "value": value}
    if ledger.scope is Scope.DEVICE:
        if value in names:
            scope["name"] = names[value]
        else:
            # It was the owner's device when it wrote this.
            scope["not_owned"] = True
    shown: dict[str, object] = {
        "name": ledger.name,
        "scope": scope,
        "version": instance.version,
        "size_bytes": instance.size_bytes,
        "data": msgspec.Raw(instance.data.encode()),
        "created_at": iso_ms(instance.created_at_ms),
        "updated_at": iso_ms(instance.updated_at_ms),
    }
    if instance.replaced_at_ms is not None:
        shown["replaced_at"] = iso_ms(instance.replaced_at_ms)
    return shown


async def _inner(call: Call, *names: str) -> dict[str, Any]:
    """The object under one of these names, or the body itself: clients and documentation differ."""
    body = await call.body()
    inner = next((body[name] for name in names if name in body), body)
    if not isinstance(inner, dict):
        raise InvalidDataError if names == ("instance",) else InvalidLedgerError
    return inner


def _paging(call: Call) -> tuple[int, int]:
    """The page, from 1, and how many a page has."""
    per_page = call.query.get("per_page") or call.query.get("perPage") or str(PER_PAGE)
    page = call.query.get("page") or "1"
    is_number = per_page.isdecimal() and page.isdecimal() and len(per_page + page) < 20
    if not is_number or int(per_page) < 1 or int(page) < 1:
        raise bad_request("page and per_page are whole numbers from 1.")
    return min(int(page), MAX_PAGE), min(int(per_page), MAX_PER_PAGE)


def _meta(page: int, per_page: int, total: int) -> dict[str, int]:
    pages = max(1, -(-total // per_page))
    return {"page": page, "per_page": per_page, "total_pages": pages, "total": total}


def _read_date(call: Call, name: str) -> int | None:
    text = call.query.get(name)
    if not text:
        return None
    try:
        stamp = datetime.fromisoformat(text)
        return to_ms(stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise bad_request(f"{name} is an ISO 8601 date, like 2026-01-31T12:00:00Z.") from error


def routes(access: LedgerAccess, definitions: Definitions, instances: Instances) -> list[Route]:
    """The routes of this feature."""
    on = _Endpoints(access, definitions, instances)
    shape, held = shapes.LedgerReply, shapes.InstanceReply
    made = (Reply(held, 201), Reply(held))
    base, one = "/v1/ledgers", "/v1/ledgers/{ledger}"
    all_of, of_one = one + "/instances", one + "/instances/{scope}"
    versions, version = of_one + "/versions", of_one + "/versions/{version}"
    return [
        Route("GET", base, on.list, scope="ledger.definitions:list",
              query=shapes.LedgersQuery, response=shapes.LedgersReply, summary="Ledgers"),
        Route("POST", base, on.create, scope="ledger.definitions:create", request=LedgerRequest,
              response=Reply(shape, 201), summary="Make a ledger"),
        Route("GET", one, on.get, scope="ledger.definitions:get", response=shape,
              summary="One ledger, and how much it holds"),
        Route("PUT", one, on.update, scope="ledger.definitions:update", request=LedgerRequest,
              response=shape, summary="Change a ledger's description"),
        Route("DELETE", one, on.archive, scope="ledger.definitions:archive",
              response=Reply(None, 204), summary="Archive a ledger"),
        Route("GET", all_of, on.list_instances, scope="ledger.instances:list",
              query=shapes.PageQuery, response=shapes.InstancesReply,
              summary="What a ledger holds for each device or the account"),
        Route("GET", of_one, on.get_instance, scope="ledger.instances:get", response=held,
              summary="What a ledger holds for one device or the account"),
        Route("PUT", of_one, on.put_instance, scope="ledger.instances:set",
              query=shapes.SetQuery, request=InstanceRequest, response=made,
              summary="Set what a ledger holds"),
        Route("DELETE", of_one, on.delete_instance, scope="ledger.instances:remove",
              response=Reply(None, 204), summary="Delete what a ledger holds"),
        Route("GET", versions, on.list_versions, scope="ledger.instances.versions:list",
              query=shapes.VersionsQuery, response=shapes.VersionsReply,
              summary="What a ledger held before"),
        Route("GET", version, on.get_version, scope="ledger.instances.versions:get",
              response=held, summary="One state of what a ledger holds or held"),
    ]  # fmt: skip
