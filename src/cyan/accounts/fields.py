"""Reading the fields of bodies: text, yes or no, and a person's profile."""

from cyan.accounts.model import MAX_PROFILE_CHARACTERS, Profile, ProfileError
from cyan.rest.errors import bad_request


def text_of(fields: dict[str, object], name: str) -> str | None:
    """A text field; None when it is absent. Raises ApiError 400 for another type."""
    value = fields.get(name)
    if value is None or isinstance(value, str):
        return value
    raise bad_request(f"The field {name} is text.")


def needed_text(fields: dict[str, object], name: str) -> str:
    """A text field that must be there. Raises ApiError 400."""
    value = text_of(fields, name)
    if not value:
        raise bad_request(f"The field {name} is needed.")
    return value


def flag_of(fields: dict[str, object], name: str) -> bool:
    """A yes or no, false when absent; forms send it as text. Raises ApiError 400."""
    value = fields.get(name, False)
    if isinstance(value, bool):
        return value
    if value in ("true", "1", 1):
        return True
    if value in ("false", "0", "", 0, None):
        return False
    raise bad_request(f"The field {name} is true or false.")


def profile_of(value: object, before: Profile | None = None) -> Profile:
    """`account_info` as a profile; what is left out stays as it was before.

    Raises ApiError 400, ProfileError.
    """
    before = before or Profile()
    if value is None:
        return before
    if not isinstance(value, dict):
        raise bad_request('The field account_info is an object like {"first_name": "Ada"}.')
    names = [
        _name(text_of(value, key), kept)
        for key, kept in (
            ("first_name", before.first_name),
            ("last_name", before.last_name),
            ("company_name", before.company_name),
        )
    ]
    is_business = before.business_account
    if "business_account" in value:
        is_business = flag_of(value, "business_account")
    return Profile(names[0], names[1], is_business, names[2])


def _name(text: str | None, before: str) -> str:
    if text is None:
        return before
    text = text.strip()
    if len(text) > MAX_PROFILE_CHARACTERS or not text.isprintable():
        raise ProfileError
    return text
