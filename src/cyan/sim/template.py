"""Text with places in braces: `{device_id}-{counter}`; `{{` and `}}` are braces themselves."""

from collections.abc import Callable, Collection
from string import Formatter

import msgspec


class TemplateError(ValueError):
    """Text that is no template; says what is wrong with it."""


class Template(msgspec.Struct, frozen=True):
    """Pieces of text, each followed by the name of a place or, at the end, by None."""

    pieces: tuple[tuple[str, str | None], ...]

    def render(self, fill: Callable[[str], str]) -> str:
        """The text; `fill` gives what stands at a place."""
        return "".join(text if place is None else text + fill(place) for text, place in self.pieces)


def parse_template(text: str, places: Collection[str]) -> Template:
    """Reads a template that may name these places.

    Raises:
        TemplateError: Braces do not match, or a place has another name or a format of its own.
    """
    try:
        parsed = list(Formatter().parse(text))
    except ValueError as error:
        raise TemplateError(f"{error}; braces that are meant are doubled") from None
    for _, place, format_, conversion in parsed:
        if place is None:
            continue
        if place not in places or format_ or conversion:
            raise TemplateError(f"braces stand around one of {', '.join(sorted(places))}")
    return Template(tuple((literal, place) for literal, place, _, _ in parsed))
