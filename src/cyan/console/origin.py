"""Whether a form was sent from a page of ours.

Two independent checks: the token that only our pages know, and what the browser itself says of
where the request comes from.
"""

from urllib.parse import urlsplit

from cyan.console.visit import CSRF_FIELD, Visit
from cyan.rest.errors import ApiError, described

CSRF_HEADER = "x-csrf-token"


async def check_form(visit: Visit) -> None:
    """Raises ApiError 403 for a form of another site, or of a page from before signing in."""
    headers = visit.request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise _foreign()
    elif origin is not None and urlsplit(origin).netloc != headers.get("host"):
        # Old browsers, and plain http. A proxy with https may send us another Host.
        raise _foreign()
    token = headers.get(CSRF_HEADER)
    if token is None and visit.has_form:
        token = (await visit.texts()).get(CSRF_FIELD)
    if token is None or not visit.cookies.is_csrf_token(token):
        raise described(
            403,
            "old_form",
            "This page was opened before you signed in or out. Load it again, then repeat what you"
            " did.",
        )


def _foreign() -> ApiError:
    return described(
        403, "foreign_form", "This form was sent from another site. Nothing was changed."
    )
