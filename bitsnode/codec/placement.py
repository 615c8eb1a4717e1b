"""Who holds what: the sealed values of provider and placement records.

A provider record is a hint by anyone who knows the content id. A placement lists all holders and
is signed inside by the publisher, since the record's own key is known to every reader.
"""

import attrs
import nacl.exceptions
import nacl.signing

from bitsnode.codec.errors import BadPlacement
from bitsnode.codec.keys import record_seal_key
from bitsnode.codec.layout import MAX_SHARES
from bitsnode.codec.sealing import NotSealed, seal, unseal
from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import Context
from bitsnode.wire import cbor
from bitsnode.wire.record import MAX_VALUE


@attrs.frozen
class Provider:
    """A holder of one share.

    Attributes:
        onion_key: of the holder, 32 bytes.
        index: of the share.
    """

    onion_key: bytes
    index: int


@attrs.frozen
class Placed:
    """One line of a placement.

    Attributes:
        index: of the share.
        onion_key: of the holder, 32 bytes.
        whitened_root: Merkle root of the bytes that the holder keeps, 32 bytes.
    """

    index: int
    onion_key: bytes
    whitened_root: bytes


@attrs.frozen
class Placement:
    """All holders of a content, as somebody who knows its content id lists them.

    Attributes:
        placed: at most 256 lines, each with another index.
        payload: the bytes that were signed.
        signature: 64 bytes if it is one.
    """

    placed: tuple[Placed, ...]
    payload: bytes = attrs.field(repr=False)
    signature: bytes = attrs.field(repr=False)

    def verify(self, digest: bytes, publisher: bytes) -> None:
        """Check that the content's publisher made this list for this content.

        Args:
            digest: of the content id.
            publisher: Ed25519 public key of the manifest, 32 bytes.

        Raises:
            BadPlacement: it did not.
        """
        try:
            key = nacl.signing.VerifyKey(publisher)
            key.verify(Context.PLACEMENT + digest + self.payload, self.signature)
        except (nacl.exceptions.CryptoError, ValueError) as error:
            raise BadPlacement("The placement is not signed by its publisher.") from error


def seal_provider(digest: bytes, provider: Provider) -> bytes:
    """Return the value of a provider record, for a content id's digest."""
    return seal(record_seal_key(digest), cbor.encode([provider.onion_key, provider.index]))


def unseal_provider(digest: bytes, value: bytes) -> Provider:
    """Read the value of a provider record.

    Raises:
        BadPlacement: it does not open, or is not ``[onion key, index]``.
    """
    found = _open(digest, value)
    if type(found) is not list or len(found) != 2:
        raise BadPlacement
    return Provider(_key(found[0]), _index(found[1]))


def seal_placement(digest: bytes, placed: tuple[Placed, ...], publisher_seed: bytes) -> bytes:
    """Return the value of a placement record, signed by the publisher's seed (32 bytes)."""
    lines = [[line.index, line.onion_key, line.whitened_root] for line in placed]
    payload = cbor.encode(lines)
    signed = nacl.signing.SigningKey(publisher_seed).sign(Context.PLACEMENT + digest + payload)
    return seal(record_seal_key(digest), cbor.encode([payload, signed.signature]))


def open_placement(digest: bytes, value: bytes) -> Placement:
    """Read the value of a placement record; only `Placement.verify` makes it more than a hint.

    Args:
        digest: of the content id.
        value: from outside.

    Raises:
        BadPlacement: it does not open, is malformed, or names a share twice.
    """
    outer = _open(digest, value)
    if type(outer) is not list or [type(part) for part in outer] != [bytes, bytes]:
        raise BadPlacement
    payload, signature = outer
    try:
        lines = cbor.decode(payload, MAX_VALUE)
    except RemoteProtocolError as error:
        raise BadPlacement from error
    if type(lines) is not list or len(lines) > MAX_SHARES:
        raise BadPlacement
    placed = tuple(_line(line) for line in lines)
    if len({line.index for line in placed}) != len(placed):
        raise BadPlacement
    return Placement(placed, payload, signature)


def _open(digest: bytes, value: bytes) -> object:
    try:
        return cbor.decode(unseal(record_seal_key(digest), value), MAX_VALUE)
    except (NotSealed, RemoteProtocolError) as error:
        raise BadPlacement from error


def _line(line: object) -> Placed:
    if type(line) is not list or len(line) != 3:
        raise BadPlacement
    return Placed(_index(line[0]), _key(line[1]), _key(line[2]))


def _key(found: object) -> bytes:
    if type(found) is not bytes or len(found) != 32:
        raise BadPlacement
    return found


def _index(found: object) -> int:
    if type(found) is not int or not 0 <= found < MAX_SHARES:
        raise BadPlacement
    return found
