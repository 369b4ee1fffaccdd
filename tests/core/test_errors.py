"""What a person reads of an error."""

from collections.abc import Iterator

import cyan.app  # noqa: F401 - its imports make every error known
from cyan.core.errors import CyanError


class LongError(CyanError):
    """A sentence that is too long for one line of the source, and so goes on in
    the next.

    What follows is for who reads the source.
    """


def _below(kind: type[CyanError]) -> Iterator[type[CyanError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def test_the_message_is_the_first_paragraph_in_one_line() -> None:
    told = "A sentence that is too long for one line of the source, and so goes on in the next."
    assert LongError().message == str(LongError()) == told


def test_every_error_has_a_sentence_of_its_own() -> None:
    for kind in _below(CyanError):
        assert (kind.__doc__ or "").strip(), kind
