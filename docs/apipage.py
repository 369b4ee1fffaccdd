"""The page of the API, from its OpenAPI file."""

from collections.abc import Iterator, Mapping
from typing import cast

from docs.tables import prose, table

Object = dict[str, object]


def api_page(file: Mapping[str, object]) -> str:
    """Each operation with its parameters, body and answers; then the shapes by name."""
    paths = cast("dict[str, dict[str, Object]]", file["paths"])
    components = cast("dict[str, Object]", file["components"])
    schemas = cast("dict[str, Object]", components["schemas"])
    parts = [
        "# The API\n\n"
        "What each route takes and answers. Times are UTC with milliseconds, ids of devices 24\n"
        "hexadecimal digits. Any route may refuse with a [Refusal](#refusal). A body is JSON or a\n"
        "form with the same fields, unless it says otherwise. `T` means that a token is needed:\n"
        "`Authorization: Bearer <token>`.\n"
    ]
    for path, item in paths.items():
        for method, operation in item.items():
            parts.append("\n" + _operation(method, path, operation))
    parts.append("\n# Shapes\n")
    for name, schema in sorted(schemas.items()):
        parts.append("\n" + _shape(name, schema))
    return "".join(parts)


def _operation(method: str, path: str, operation: Object) -> str:
    needs_token = operation["security"] == [{"token": []}]
    lines = [f"## {method.upper()} {path}\n\n{_sentence(str(operation['summary']))}"]
    lines.append(" `T`\n" if needs_token else "\n")
    rows = [
        (
            f"`{parameter['name']}`",
            str(parameter["in"]),
            _type(cast(Object, parameter["schema"])),
            str(parameter.get("description", "")),
        )
        for parameter in cast("list[Object]", operation["parameters"])
    ]
    if rows:
        lines.append("\n" + table(("Parameter", "In", "Type", ""), iter(rows)))
    body = cast("dict[str, dict[str, Object]]", operation.get("requestBody", {}))
    if body:
        kinds = body["content"]
        (schema, *_) = [cast(Object, content["schema"]) for content in kinds.values()]
        only = "" if len(kinds) > 1 else f", as {next(iter(kinds))}"
        lines.append(f"\nTakes {_type(schema)}{only}.\n")
    lines += [f"\nAnswers {answer}.\n" for answer in _answers(operation)]
    return "".join(lines)


def _answers(operation: Object) -> Iterator[str]:
    for status, response in cast("dict[str, Object]", operation["responses"]).items():
        if not status.isdigit() or status == "401":
            continue
        content = cast("dict[str, Object]", response.get("content", {}))
        kinds = [
            _type(cast(Object, kind["schema"])) if "schema" in kind else f"`{name}`"
            for name, kind in content.items()
            if isinstance(kind, dict)
        ]
        yield f"{status} with {' or '.join(kinds)}" if kinds else status


def _shape(name: str, schema: Object) -> str:
    said = prose(str(schema.get("description", "")))
    lines = [f"## {name}\n"] + ([f"\n{said}\n"] if said else [])
    required = cast("list[str]", schema.get("required", []))
    rows = [
        (f"`{field}`", _type(inner), "" if field in required else "may be missing")
        for field, inner in cast("dict[str, Object]", schema.get("properties", {})).items()
    ]
    if rows:
        lines.append("\n" + table(("Field", "Type", ""), iter(rows)))
    return "".join(lines)


def _type(schema: Object) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{_json(schema['const'])}`"
    if "enum" in schema:
        return " or ".join(f"`{_json(value)}`" for value in cast("list[object]", schema["enum"]))
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_type(inner) for inner in cast("list[Object]", schema[key]))
    kind = schema.get("type")
    if kind == "array":
        inner = schema.get("items")
        return f"a list of {_type(inner)}" if isinstance(inner, dict) else "a list"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"an object of {_type(inner)}" if isinstance(inner, dict) else "an object"
    return str(kind) if kind else "any value"


def _json(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sentence(text: str) -> str:
    return text if text.endswith(".") else text + "."
