"""Signed objects of the market: canonical CBOR of ``[payload, signature]``. Pure."""

from bitsnode.errors import RemoteProtocolError
from bitsnode.wire import cbor


def signed_parts(data: bytes, most: int) -> tuple[bytes, bytes]:
    """Return payload and signature of an object of at most so many bytes; neither is checked.

    Raises:
        RemoteProtocolError: it is no such pair.
    """
    found = cbor.decode(data, most)
    if type(found) is not list or [type(part) for part in found] != [bytes, bytes]:
        raise RemoteProtocolError
    return found[0], found[1]
