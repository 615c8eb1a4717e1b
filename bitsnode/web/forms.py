"""What shows that a click was made by a visitor, on a page of this shop, and which one. Pure.

Every form has one hidden field: a random key of that rendering, signed (itsdangerous, HMAC-SHA256)
for its purpose and for the visitor's cookie. The signature is the proof against forged requests
(CSRF); the key makes two clicks on one button one order. It is no session's id, and gives no right
by itself.
"""

import hashlib
import hmac
import secrets
from typing import Final

from itsdangerous import BadSignature, Signer, URLSafeSerializer

from bitsnode.web.errors import StaleForm

MAX_FIELD: Final = 300  # characters
_SIZE: Final = 16  # random bytes of a visitor's cookie and of a click's key


class Forms:
    """Signs and checks.

    Args:
        key: of the shop, 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"bits/shop-forms/v1", hashlib.sha256)
        self._visitors = self._signer("visitor")
        self._tokens = self._signer("ticket")

    def fresh_visitor(self) -> str:
        """Return the cookie of a new visitor: it gives no right, and is kept nowhere."""
        return self._visitors.sign(secrets.token_urlsafe(_SIZE)).decode("ascii")

    def is_visitor(self, cookie: str) -> bool:
        """Whether this shop gave out a cookie."""
        return self._visitors.validate(cookie)

    def sign_token(self, token: str) -> str:
        """Return a ticket's token as a cookie, so that forged ones cost no look into the file."""
        return self._tokens.sign(token).decode("ascii")

    def token(self, cookie: str) -> str | None:
        """Return the token of a cookie, None if the shop did not give it out."""
        try:
            return self._tokens.unsign(cookie).decode("ascii")
        except BadSignature:
            return None

    def field(self, purpose: str, holder: str) -> str:
        """Return the hidden field of a form that is being rendered.

        Args:
            purpose: what the form does, and to what.
            holder: cookie of who gets the page.
        """
        return str(self._serializer(purpose, holder).dumps(secrets.token_urlsafe(_SIZE)))

    def click(self, purpose: str, holder: str | None, field: str | None) -> str:
        """Check a form's field; returns the key of the click.

        Raises:
            StaleForm: it is missing, forged, another form's, or another visitor's.
        """
        if holder is None or field is None or len(field) > MAX_FIELD:
            raise StaleForm
        try:
            return str(self._serializer(purpose, holder).loads(field))
        except BadSignature:
            raise StaleForm from None

    def _signer(self, purpose: str) -> Signer:
        return Signer(self._key, salt=f"bits/{purpose}", digest_method=hashlib.sha256)

    def _serializer(self, purpose: str, holder: str) -> URLSafeSerializer:
        return URLSafeSerializer(
            self._key,
            salt=f"bits/form\n{purpose}\n{holder}",
            signer_kwargs={"digest_method": hashlib.sha256},
        )
