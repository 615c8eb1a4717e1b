"""Links, ``bits:<content id>#<base32 of content secret ‖ W>``: who has one can read and share."""

import base64
import re
from typing import Final

import attrs

from bitsnode.codec.errors import BadLink
from bitsnode.codec.keys import SECRET_SIZE
from bitsnode.ids import BadContentId, ContentId

SCHEME: Final = "bits:"
KEY_LENGTH: Final = 52  # characters: the base32 of 32 bytes without padding
_KEY: Final = re.compile(r"[a-z2-7]*\Z")


@attrs.frozen
class Link:
    """A content's name and the secrets that read it.

    Attributes:
        content_id: what is named; knowing it alone lets one find and check, not read.
        content_secret: 16 bytes; the chunks' key is derived from it.
        whitening: W, 16 bytes; takes the whitening off the holders' shares.
    """

    content_id: ContentId
    content_secret: bytes = attrs.field(repr=False)
    whitening: bytes = attrs.field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Link":
        """Read the text form; nothing but the one canonical text is accepted.

        Raises:
            BadLink: with one sentence for each way in which it is malformed.
        """
        if not text.startswith(SCHEME):
            raise BadLink('This is not a bits link: one begins with "bits:bafy".')
        name, mark, key = text.removeprefix(SCHEME).partition("#")
        if not mark or not key:
            raise BadLink('The link has no key: after the content id come "#" and 52 characters.')
        try:
            content_id = ContentId.parse(name)
        except BadContentId as error:
            raise BadLink(
                'The link\'s content id is wrong: it begins with "bafy" and has 59 characters.'
            ) from error
        if len(key) != KEY_LENGTH:
            raise BadLink(f"The link's key has {len(key)} characters and should have {KEY_LENGTH}.")
        if not _KEY.match(key):
            raise BadLink("The link's key has a character other than a-z and 2-7.")
        raw = base64.b32decode(key.upper() + "====")
        link = cls(content_id, raw[:SECRET_SIZE], raw[SECRET_SIZE:])
        if link.text != text:  # the last character has unused bits: only zero ones are canonical
            raise BadLink("The link's last character is wrong.")
        return link

    @property
    def text(self) -> str:
        """The text form, which is secret: not ``str()``, so that no log line shows it unasked."""
        key = base64.b32encode(self.content_secret + self.whitening).decode().rstrip("=").lower()
        return f"{SCHEME}{self.content_id}#{key}"
