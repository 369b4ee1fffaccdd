"""REST: the product that stands for a platform.

A device that is in no product has its platform's number as `product_id` (rest-api-core.md §8.1),
and clients follow it: `particle config env set --device` ends with a failure without an answer,
after it has stored everything (§17). So does the word that clients make of a `product_id` that is
not known, because the device never connected. Products that people make are not built yet.
"""

from typing import Final, Literal

import msgspec
from starlette.responses import Response

from cyan.rest.call import Call
from cyan.rest.errors import not_implemented
from cyan.rest.registry import Route
from cyan.rest.responses import json_response

# fmt: off
NAMES: Final = {
    0: "core", 3: "gcc", 6: "photon", 8: "p1", 10: "electron", 11: "esp32", 12: "argon",
    13: "boron", 14: "xenon", 15: "esomx", 22: "asom", 23: "bsom", 24: "xsom", 25: "b5som",
    26: "tracker", 28: "trackerm", 31: "raspi", 32: "p2", 35: "msom", 37: "electron2",
    38: "sulu", 42: "tachyon", 43: "linux", 82: "oak", 88: "duo", 103: "bluz",
}
"""By platform id (device-protocol.md §7.6)."""
# fmt: on


class PlatformProduct(msgspec.Struct, frozen=True):
    """`slug` is null: there is no page of it. So are both numbers of a platform not known."""

    id: int | None
    platform_id: int | None
    name: str
    slug: None = None
    device_protection: Literal["disabled"] = "disabled"


PRODUCTS: Final = {
    **{str(number): PlatformProduct(number, number, NAMES[number]) for number in NAMES},
    "null": PlatformProduct(None, None, "unknown"),
}
"""By product id, as it stands in a path: JavaScript writes null into it for one that is null."""


class ProductReply(msgspec.Struct, frozen=True):
    product: PlatformProduct


def routes() -> list[Route]:
    """The route that shows a product."""

    async def get(call: Call) -> Response:
        product = PRODUCTS.get(call.path["product"])
        if product is None:
            raise not_implemented("Products are not built yet.")
        return json_response(ProductReply(product))

    return [
        Route(
            "GET",
            "/v1/products/{product}",
            get,
            scope="products:get",
            summary="Look at the product that stands for a platform",
            response=ProductReply,
        )
    ]
