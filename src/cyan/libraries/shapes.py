"""What the routes of libraries take after the question mark (rest-api-core.md §14)."""

import msgspec


class LibrariesQuery(msgspec.Struct, rename={"exclude_scopes": "excludeScopes"}):
    """`sort`, `exclude_scopes` and `architectures` are lists with commas; a `-` before a key sorts
    downwards."""

    filter: str = ""
    scope: str = "all"
    exclude_scopes: str = ""
    architectures: str = ""
    category: str = ""
    sort: str = ""
    page: int = 1
    limit: int = 10


class VersionQuery(msgspec.Struct):
    """`latest`, or a version."""

    version: str = "latest"


class PageQuery(msgspec.Struct):
    page: int = 1
    limit: int = 10
