"""The shop's two cookies. Pure.

Both end with the browser's session, are hidden from scripts, and are not sent when another site
links or posts here. ``Secure`` and the ``__Host-`` prefix are for TLS: an onion service has
end-to-end encryption without it, and browsers other than Tor Browser would drop such a cookie.
"""

from typing import Final

VISITOR: Final = "visitor"  # set where there is a form; gives no right
TICKET: Final = "ticket"  # set by an order or a claim, for the pages of that order only


def visitor_cookie(value: str) -> tuple[str, str]:
    """Return the header that sets a visitor's cookie."""
    return _header(VISITOR, value, "/")


def ticket_cookie(value: str, order: str) -> tuple[str, str]:
    """Return the header that sets the cookie of an order."""
    return _header(TICKET, value, f"/order/{order}")


def _header(name: str, value: str, path: str) -> tuple[str, str]:
    return "Set-Cookie", f"{name}={value}; Path={path}; HttpOnly; SameSite=Strict"
