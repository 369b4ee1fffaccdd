"""Characters to tokens: comments, strings, raw strings, continued lines (ISO C++17 §5)."""

import re
from enum import Enum, auto
from typing import Final, NamedTuple


class Place(NamedTuple):
    """Where something stands; lines and columns count from one."""

    file: str
    line: int
    column: int


class Kind(Enum):
    """What a token is. `STRAY` is a quote without its end, or what C++ has no use for."""

    NAME = auto()
    NUMBER = auto()
    STRING = auto()
    CHARACTER = auto()
    MARK = auto()
    STRAY = auto()


class Token(NamedTuple):
    """A piece of source. `text` is its spelling; of a string and a character what is meant."""

    kind: Kind
    text: str
    place: Place

    @property
    def shown(self) -> str:
        """As a message shows it."""
        return f'"{self.text}"' if self.kind is Kind.STRING else self.text

    def is_mark(self, *texts: str) -> bool:
        return self.kind is Kind.MARK and self.text in texts

    def is_name(self, *texts: str) -> bool:
        return self.kind is Kind.NAME and self.text in texts


class UnterminatedError(Exception):
    """A comment or raw string without an end."""

    def __init__(self, place: Place, what: str) -> None:
        super().__init__(what)
        self.place = place
        self.what = what


_TOKEN: Final = re.compile(
    r"""
    (?P<space>[ \t\r\f\v]+|\\\n)
    |(?P<newline>\n)
    |(?P<comment>//(?:[^\\\n]|\\.)*|/\*.*?\*/)
    |(?P<raw>(?:u8|[LuU])?R"(?P<mark>[^()\\\s"]{0,16})\((?P<inside>.*?)\)(?P=mark)")
    |(?P<string>(?:u8|[LuU])?"(?:[^"\\\n]|\\.)*")
    |(?P<character>(?:u8|[LuU])?'(?:[^'\\\n]|\\.)+')
    |(?P<number>\.?\d(?:[eEpP][+-]|'?[\w.])*)
    |(?P<name>[^\W\d]\w*)
    |(?P<sign><<=|>>=|\.\.\.|->\*|::|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|\#\#
        |[-+*/%&|^~!<>=?:;,.(){}\[\]\#])
    |(?P<open>["'](?:[^\\\n]|\\.)*\\?)
    |(?P<stray>.)
    """,
    re.VERBOSE | re.DOTALL,
)

_ESCAPE: Final = re.compile(
    r"\\(\n|x[0-9a-fA-F]{1,8}|[0-7]{1,3}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.S
)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f",
                   "v": "\v", "e": "\x1b", "\n": ""}  # fmt: skip
_KINDS: Final = {"number": Kind.NUMBER, "name": Kind.NAME, "sign": Kind.MARK, "stray": Kind.STRAY}


def split_lines(text: str, file: str) -> list[list[Token]]:
    """The tokens of each logical line of a source.

    Raises:
        UnterminatedError: A comment or a raw string has no end.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    lines: list[list[Token]] = [[]]
    line, line_start = 1, 0
    for match in _TOKEN.finditer(text):
        group, spelled = match.lastgroup, match.group()
        if group in ("mark", "inside"):
            group = "raw"
        start = match.start()
        place = Place(file, line, start - line_start + 1)
        if group == "newline":
            lines.append([])
        elif group == "raw":
            lines[-1].append(Token(Kind.STRING, match["inside"], place))
        elif group in ("string", "character"):
            kind = Kind.STRING if group == "string" else Kind.CHARACTER
            quote = spelled.index('"' if group == "string" else "'")
            lines[-1].append(Token(kind, _unescape(spelled[quote + 1 : -1]), place))
        elif group == "open":  # what follows it in its line cannot be told apart
            lines[-1].append(Token(Kind.STRAY, spelled[0], place))
        elif group in _KINDS:
            if spelled == "/" and text.startswith("/*", start):
                raise UnterminatedError(place, "unterminated comment")
            if group == "name" and spelled.endswith("R") and text.startswith('"', match.end()):
                raise UnterminatedError(place, "unterminated raw string")
            lines[-1].append(Token(_KINDS[group or ""], spelled, place))
        breaks = spelled.count("\n")
        if breaks:
            line += breaks
            line_start = start + spelled.rindex("\n") + 1
    return lines


def _unescape(text: str) -> str:
    return _ESCAPE.sub(_meant, text) if "\\" in text else text


def _meant(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "xuU" and len(code) > 1:
        number = int(code[1:], 16)
    elif code[0] in "01234567":
        number = int(code, 8)
    else:
        return _ESCAPED.get(code, code)
    is_text = number < 0x110000 and not 0xD800 <= number < 0xE000
    return chr(number) if is_text else "\ufffd"
