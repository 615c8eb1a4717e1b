"""The checked form of a web address that is asked through tor."""

import re
from urllib.parse import urlsplit

import attrs

from onion.address import SUFFIX, OnionAddress
from onion.errors import AddressError, UrlInsecure, UrlInvalid

URL_LIMIT = 2048  # characters
HOST_LIMIT = 253  # characters; RFC 1035 section 2.3.4, and within the 255 bytes of SOCKS5
DEFAULT_PORTS = {"http": 80, "https": 443}
# RFC 1123 section 2.1. A last label without a letter would be an IPv4 address or a typing error.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)+(?=[a-z0-9-]*[a-z]){_LABEL}\Z")
_TARGET = re.compile(r"/[!-~]*\Z")


@attrs.frozen
class Url:
    """A web address: an onion service, or a name outside with TLS.

    Attributes:
        scheme: "http" (onion services only) or "https".
        host: lower-case name, at most 253 characters; never an IP address.
        port: 1-65535.
        target: path and query, printable ASCII. Out of `repr`: providers put keys of their
            customers into paths.
        onion: the checked address when the host is an onion service, else None.
    """

    scheme: str
    host: str
    port: int
    target: str = attrs.field(repr=False)
    onion: OnionAddress | None = attrs.field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Url":
        """Read an absolute web address without user name and fragment.

        Raises:
            UrlInvalid: it is malformed, or names an IP address.
            UrlInsecure: plain http outside of onion services.
        """
        if len(text) > URL_LIMIT or not text.isascii() or not text.isprintable():
            raise UrlInvalid(f"at most {URL_LIMIT} ASCII characters")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise UrlInvalid from error
        scheme, host = parts.scheme, (parts.hostname or "").lower()
        if scheme not in DEFAULT_PORTS:
            raise UrlInvalid("it begins with neither http:// nor https://")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if "@" in parts.netloc or parts.fragment or not _TARGET.match(target) or port == 0:
            raise UrlInvalid
        if len(host) > HOST_LIMIT or not _HOST.match(host):
            raise UrlInvalid("it names no host")
        onion = _onion_in(host)
        if scheme == "http" and onion is None:
            raise UrlInsecure(host)
        return cls(scheme, host, port or DEFAULT_PORTS[scheme], target, onion)

    @property
    def origin(self) -> str:
        """Scheme, host and, when it is not the usual one, port: all that may be shown."""
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"

    @property
    def full(self) -> str:
        """All of it, which may hold a secret in its target."""
        return self.origin + self.target


def _onion_in(host: str) -> OnionAddress | None:
    if not host.endswith(SUFFIX):
        return None
    try:
        # a service also answers to names below its address; rend-spec-v3 [ONIONADDRESS]
        return OnionAddress.parse(host.removesuffix(SUFFIX).rpartition(".")[2])
    except AddressError as error:
        raise UrlInvalid("its onion address is wrong") from error
