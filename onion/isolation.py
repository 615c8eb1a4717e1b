"""Who must not share a circuit with whom."""

import re
import secrets

import attrs

from onion.errors import IsolationError

FIELD_LIMIT = 255  # bytes of a SOCKS user name or password, RFC 1929 section 2
USERNAME_PREFIX = "bits-"
_PURPOSE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
_KEY = re.compile(rf"[!-~]{{1,{FIELD_LIMIT}}}\Z")


def _check_purpose(_instance: object, _field: object, purpose: str) -> None:
    if not _PURPOSE.match(purpose):
        raise IsolationError(f"purpose {purpose!r}")


def _check_key(_instance: object, _field: object, key: str) -> None:
    if not _KEY.match(key):
        raise IsolationError("the key must be 1 to 255 printable ASCII characters")


@attrs.frozen
class Isolation:
    """Connections with different isolations never share a circuit (tor's IsolateSOCKSAuth).

    Attributes:
        purpose: what the connection is for, 1-64 characters of a-z, 0-9 and "-".
        key: whose connection it is, 1-255 printable ASCII characters; it links everything done
            under it, so it stays out of logs.

    Raises:
        IsolationError: a field does not fit.
    """

    purpose: str = attrs.field(validator=_check_purpose)
    key: str = attrs.field(validator=_check_key, repr=False)

    @classmethod
    def fresh(cls, purpose: str) -> "Isolation":
        """An isolation that shares circuits with nothing else, ever."""
        return cls(purpose, secrets.token_hex(16))

    @property
    def username(self) -> bytes:
        """SOCKS user name; its prefix keeps it apart from the names that tor gives a meaning."""
        return (USERNAME_PREFIX + self.purpose).encode("ascii")

    @property
    def password(self) -> bytes:
        """SOCKS password."""
        return self.key.encode("ascii")
