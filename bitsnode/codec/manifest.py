"""The manifest: what a content is made of. Its hash is the content id; it names no holder.

Plain form: a canonical CBOR list (`Manifest`), which is valid dag-cbor, as the content id says.
Stored form: sealed under a key that the content id gives, canonical CBOR of ``[plain form,
signature of context ‖ plain form]``. Every number in it is checked before anything is allocated
by it.
"""

from typing import Final

import attrs
import nacl.exceptions
import nacl.signing

from bitsnode.codec.erasure import Code
from bitsnode.codec.errors import BadManifest
from bitsnode.codec.keys import manifest_key, whitening_commitment
from bitsnode.codec.layout import CHUNK_SIZE, MAX_SHARES, MAX_SIZE, Layout
from bitsnode.codec.merkle import ROOT_SIZE
from bitsnode.codec.sealing import NotSealed, seal, unseal
from bitsnode.errors import RemoteProtocolError
from bitsnode.ids import ContentId, Context, sha256
from bitsnode.wire import cbor
from bitsnode.wire.messages import MAX_MANIFEST
from bitsnode.wire.schema import Bytes, ListOf, Uint, field, from_list, to_list

MANIFEST_VERSION: Final = 1
MAX_SEGMENTS: Final = MAX_MANIFEST // ROOT_SIZE  # more roots would not fit


@attrs.frozen
class Manifest:
    """What a content is made of.

    Attributes:
        version: of this format, 1.
        size: bytes of plaintext, at most 2^48.
        chunk_size: bytes of plaintext per chunk, 1 MiB.
        k: shares that rebuild the content, 1 to n.
        n: shares made, at most 256.
        share_roots: for each segment the n share roots one after the other, n * 32 bytes.
        publisher: Ed25519 public key that signs the manifest and placements, 32 bytes.
        whitening_commitment: SHA-256 of context ‖ W, 32 bytes.
    """

    version: int = field(1, Uint(MANIFEST_VERSION, MANIFEST_VERSION))
    size: int = field(2, Uint(MAX_SIZE))
    chunk_size: int = field(3, Uint(CHUNK_SIZE, CHUNK_SIZE))
    k: int = field(4, Uint(MAX_SHARES, 1))
    n: int = field(5, Uint(MAX_SHARES, 1))
    share_roots: tuple[bytes, ...] = field(
        6, ListOf(Bytes(ROOT_SIZE, MAX_SHARES * ROOT_SIZE), MAX_SEGMENTS)
    )
    publisher: bytes = field(7, Bytes(32, 32))
    whitening_commitment: bytes = field(8, Bytes(32, 32))

    @property
    def code(self) -> Code:
        """How it is coded."""
        return Code(self.k, self.n)

    @property
    def layout(self) -> Layout:
        """Where its bytes lie."""
        return Layout(self.size, self.k, self.n)

    def share_root(self, segment: int, index: int) -> bytes:
        """Return the 32-byte root of the unwhitened share file of one segment."""
        return self.share_roots[segment][index * ROOT_SIZE : (index + 1) * ROOT_SIZE]

    def check(self) -> None:
        """Check that the numbers fit together.

        Raises:
            BadManifest: k > n, or not exactly n roots for each segment of this size.
        """
        if self.k > self.n:
            raise BadManifest("The manifest asks for more shares than there are.")
        if len(self.share_roots) != self.layout.segments:
            raise BadManifest("The manifest has a wrong number of segments for its size.")
        if any(len(roots) != self.n * ROOT_SIZE for roots in self.share_roots):
            raise BadManifest("The manifest has a wrong number of share roots.")

    def check_whitening(self, whitening: bytes) -> None:
        """Check that W (16 bytes) is this content's.

        Raises:
            BadManifest: it is another one.
        """
        if whitening_commitment(whitening) != self.whitening_commitment:
            raise BadManifest("The second half of the link's key does not fit this content.")


@attrs.frozen
class SealedManifest:
    """A manifest, its name, and the form in which holders keep it.

    Attributes:
        manifest: checked.
        content_id: SHA-256 of the plain form.
        data: the sealed form, at most 1 MiB.
    """

    manifest: Manifest
    content_id: ContentId
    data: bytes = attrs.field(repr=False)

    @classmethod
    def build(cls, manifest: Manifest, publisher_seed: bytes) -> "SealedManifest":
        """Sign and seal a manifest of our own with the publisher's seed (32 bytes).

        Raises:
            BadManifest: the content is so large that its manifest exceeds 1 MiB.
        """
        manifest.check()
        plain = cbor.encode(to_list(manifest))
        content_id = ContentId(sha256(plain))
        key = nacl.signing.SigningKey(publisher_seed)
        signed = cbor.encode([plain, key.sign(Context.MANIFEST + plain).signature])
        data = seal(manifest_key(content_id.digest), signed)
        if len(data) > MAX_MANIFEST:
            raise BadManifest("The content is too large: its manifest would exceed 1 MiB.")
        return cls(manifest, content_id, data)

    @classmethod
    def parse(cls, data: bytes, content_id: ContentId) -> "SealedManifest":
        """Check a sealed manifest from outside.

        Raises:
            BadManifest: too large, sealed for or hashing to another content id, a number out of
                its limits, or not signed by its publisher.
        """
        if len(data) > MAX_MANIFEST:
            raise BadManifest("The manifest is larger than 1 MiB.")
        try:
            outer = cbor.decode(unseal(manifest_key(content_id.digest), data), MAX_MANIFEST)
            if type(outer) is not list or [type(part) for part in outer] != [bytes, bytes]:
                raise BadManifest
            plain, signature = outer
            if sha256(plain) != content_id.digest:
                raise BadManifest
            manifest = from_list(Manifest, cbor.decode(plain, MAX_MANIFEST))
            manifest.check()
            key = nacl.signing.VerifyKey(manifest.publisher)
            key.verify(Context.MANIFEST + plain, signature)
        except BadManifest:
            raise
        except (NotSealed, RemoteProtocolError) as error:
            raise BadManifest from error
        except (nacl.exceptions.CryptoError, ValueError) as error:
            raise BadManifest("The manifest is not signed by its publisher.") from error
        return cls(manifest, content_id, data)
