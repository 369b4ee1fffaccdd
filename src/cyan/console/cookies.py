"""The console's cookies: the session's, a visitor's before that, the theme, a note to show once.

A name has the prefix `__Host-` where the connection is https, so that no neighbour under the same
domain can set it (RFC 6265bis §4.1.3.2). It ends with the port, unless that is the scheme's own:
browsers keep the cookies of a host for all of its ports, and two servers on one machine would sign
people out of each other.
"""

import base64
import binascii
import hmac
import re
from hashlib import sha256
from http.cookies import SimpleCookie
from typing import Final

from starlette.requests import Request

from cyan.console.model import LONGEST_LIFE_S
from cyan.core.ids import new_token

SESSION: Final = "cyan-session"
VISITOR: Final = "cyan-visitor"
THEME: Final = "cyan-theme"
NOTE: Final = "cyan-note"

THEMES: Final = ("light", "dark")
"""What a person can choose; without a choice, what their system says."""

MAX_NOTE_CHARACTERS: Final = 500

_NOTE_LIFE_S: Final = 60
_SECRET = re.compile(r"[0-9a-f]{40}\Z")
_PORT = re.compile(r":([0-9]{1,5})\Z")


class Jar:
    """The cookies of one request, and those that its answer sets."""

    __slots__ = ("_is_secure", "_prefix", "_sent", "_suffix", "_to_set")

    def __init__(self, request: Request) -> None:
        self._is_secure = request.url.scheme == "https"
        self._prefix = "__Host-" if self._is_secure else ""
        # What the browser asked for, not where this server listens: a proxy may be in between.
        port = _PORT.search(request.headers.get("host", ""))
        self._suffix = f"-{port[1]}" if port is not None else ""
        self._sent = request.cookies
        self._to_set: dict[str, str] = {}

    @property
    def secret(self) -> str | None:
        """The session's secret, as far as it looks like one."""
        # Names had no port once: who signed in then stays so.
        text = self._sent.get(self._name(SESSION)) or self._sent.get(self._prefix + SESSION, "")
        return text if _SECRET.match(text) else None

    def begin(self, secret: str) -> None:
        """Sign in; the browser keeps it as long as a session can live."""
        self._set(SESSION, secret, LONGEST_LIFE_S)

    def end(self) -> None:
        """Sign out."""
        self._set(SESSION, "", 0)
        if self._suffix and self._name(SESSION) not in self._sent:
            self._write(self._prefix + SESSION, "", 0)

    @property
    def csrf_token(self) -> str:
        """What every form of this visitor has to send back: only a page of ours can know it.

        It is made from the session's secret; before there is one, from a cookie of its own.
        """
        secret = self.secret
        if secret is None:
            secret = self._sent.get(self._name(VISITOR), "")
            if not _SECRET.match(secret):
                secret = new_token()
                self._sent = {**self._sent, self._name(VISITOR): secret}
                self._set(VISITOR, secret, None)
        return hmac.new(secret.encode(), b"cyan console form", sha256).hexdigest()

    def is_csrf_token(self, token: str) -> bool:
        if self.secret is None and self._name(VISITOR) not in self._sent:
            return False
        return hmac.compare_digest(self.csrf_token.encode(), token.encode("utf-8", "replace"))

    @property
    def theme(self) -> str:
        """`light`, `dark`, or "" for what the system says. The page's script sets this one."""
        chosen = self._sent.get(THEME, "")
        return chosen if chosen in THEMES else ""

    def leave_note(self, text: str) -> None:
        """A sentence for the next page."""
        packed = base64.urlsafe_b64encode(text[:MAX_NOTE_CHARACTERS].encode()).decode()
        self._set(NOTE, packed.rstrip("="), _NOTE_LIFE_S)

    def take_note(self) -> str | None:
        """The sentence that the page before left; it is shown once."""
        packed = self._sent.get(self._name(NOTE))
        if not packed:
            return None
        self._set(NOTE, "", 0)
        try:
            padded = packed + "=" * (-len(packed) % 4)
            return base64.urlsafe_b64decode(padded).decode()[:MAX_NOTE_CHARACTERS]
        except (binascii.Error, ValueError):
            return None

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The Set-Cookie headers of the answer."""
        return [(b"set-cookie", line.encode("latin-1")) for line in self._to_set.values()]

    def _name(self, name: str) -> str:
        return f"{self._prefix}{name}{self._suffix}"

    def _set(self, name: str, value: str, max_age_s: int | None) -> None:
        self._write(self._name(name), value, max_age_s)

    def _write(self, full: str, value: str, max_age_s: int | None) -> None:
        cookie: SimpleCookie = SimpleCookie()
        cookie[full] = value
        cookie[full]["path"] = "/"
        cookie[full]["httponly"] = True
        cookie[full]["samesite"] = "lax"
        if self._is_secure:
            cookie[full]["secure"] = True
        if max_age_s is not None:
            cookie[full]["max-age"] = str(max_age_s)
        self._to_set[full] = cookie[full].OutputString()
