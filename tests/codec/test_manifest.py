"""Manifests: what a parser accepts from outside."""

import attrs
import nacl.signing
import pytest

from bitsnode.codec.errors import BadManifest
from bitsnode.codec.keys import manifest_key, whitening_commitment
from bitsnode.codec.layout import CHUNK_SIZE
from bitsnode.codec.manifest import Manifest, SealedManifest
from bitsnode.codec.sealing import seal, unseal
from bitsnode.ids import ContentId, Context, sha256
from bitsnode.wire import cbor
from bitsnode.wire.messages import MAX_MANIFEST

SEED = b"p" * 32
KEY = nacl.signing.SigningKey(SEED)
WHITENING = b"w" * 16
GOOD = Manifest(
    version=1,
    size=3 * CHUNK_SIZE,
    chunk_size=CHUNK_SIZE,
    k=1,
    n=2,
    share_roots=(b"r" * 64,),
    publisher=bytes(KEY.verify_key),
    whitening_commitment=whitening_commitment(WHITENING),
)


def hostile(changes: dict[int, object], signature: bytes | None = None) -> tuple[bytes, ContentId]:
    """Seal and sign a manifest with fields that `SealedManifest.build` would refuse."""
    fields: dict[int, object] = {
        1: 1,
        2: GOOD.size,
        3: CHUNK_SIZE,
        4: 1,
        5: 2,
        6: [b"r" * 64],
        7: GOOD.publisher,
        8: GOOD.whitening_commitment,
    }
    fields.update(changes)
    plain = cbor.encode([value for _, value in sorted(fields.items()) if value is not None])
    signature = signature or KEY.sign(Context.MANIFEST + plain).signature
    content_id = ContentId(sha256(plain))
    return seal(manifest_key(content_id.digest), cbor.encode([plain, signature])), content_id


def test_what_is_built_parses() -> None:
    """A manifest comes back as it was, under the hash of its plain form."""
    built = SealedManifest.build(GOOD, SEED)
    assert SealedManifest.parse(built.data, built.content_id) == built
    data, content_id = hostile({})
    assert content_id == built.content_id
    assert SealedManifest.parse(data, content_id).manifest == GOOD


def test_the_plain_form_is_dag_cbor() -> None:
    """A content id says dag-cbor, so its plain form is a list of what dag-cbor knows.

    See https://ipld.io/specs/codecs/dag-cbor/spec/: map keys would have to be texts.
    """
    built = SealedManifest.build(GOOD, SEED)
    opened = cbor.decode(unseal(manifest_key(built.content_id.digest), built.data), MAX_MANIFEST)
    fields = cbor.decode(opened[0], MAX_MANIFEST)
    assert [type(field) for field in fields] == [int, int, int, int, int, list, bytes, bytes]


def test_an_empty_content_has_no_segments() -> None:
    """0 bytes are a content too."""
    built = SealedManifest.build(attrs.evolve(GOOD, size=0, share_roots=()), SEED)
    assert SealedManifest.parse(built.data, built.content_id).manifest.layout.chunks == 0


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({2: 1 << 60}, id="2^60 bytes"),
        pytest.param({2: 10**9 * CHUNK_SIZE}, id="1e9 chunks"),
        pytest.param({2: 1 << 48}, id="largest size without its roots"),
        pytest.param({2: -1}, id="negative size"),
        pytest.param({3: CHUNK_SIZE + 1}, id="other chunk size"),
        pytest.param({4: 3}, id="k > n"),
        pytest.param({4: 0}, id="k = 0"),
        pytest.param({4: 0, 5: 0, 6: [b""]}, id="n = 0"),
        pytest.param({5: 257, 6: [bytes(257 * 32)]}, id="n > 256"),
        pytest.param({6: [b"r" * 63]}, id="short roots"),
        pytest.param({6: [b"r" * 96]}, id="roots of three shares"),
        pytest.param({6: [b"r" * 64, b"r" * 64]}, id="roots of a segment too many"),
        pytest.param({6: []}, id="no roots"),
        pytest.param({6: [b"r" * 64] * 40000}, id="more segments than fit"),
        pytest.param({7: bytes(32)}, id="small-order publisher"),
        pytest.param({7: b"q" * 32}, id="other publisher"),
        pytest.param({8: b""}, id="no commitment"),
        pytest.param({1: 2}, id="newer version"),
        pytest.param({8: None}, id="missing field"),
        pytest.param({9: "../../x\x00\u202egpj.exe"}, id="a path"),
        pytest.param({9: "CON"}, id="a device name"),
    ],
)
def test_c4_a_hostile_manifest_is_refused(changes: dict[int, object]) -> None:
    """Numbers out of their limits and unknown fields are refused though signed and named right.

    A manifest has no field for a name or a path, so none can reach a file system.
    """
    with pytest.raises(BadManifest):
        SealedManifest.parse(*hostile(changes))


def test_c4_a_manifest_over_1_mib_is_refused_before_it_is_opened() -> None:
    """The size limit comes first."""
    with pytest.raises(BadManifest, match="larger than 1 MiB"):
        SealedManifest.parse(bytes(MAX_MANIFEST + 1), ContentId(bytes(32)))


def test_c4_a_wrong_signature_is_refused() -> None:
    """A signature over other bytes, or of no use at all, does not pass."""
    for signature in (KEY.sign(b"other").signature, b"x", bytes(64)):
        with pytest.raises(BadManifest, match="not signed"):
            SealedManifest.parse(*hostile({}, signature))


def test_c4_another_content_s_manifest_is_refused() -> None:
    """A manifest opens and counts only under its own content id."""
    first = SealedManifest.build(GOOD, SEED)
    other = SealedManifest.build(attrs.evolve(GOOD, k=2), SEED)
    with pytest.raises(BadManifest):
        SealedManifest.parse(first.data, other.content_id)
    opened = unseal(manifest_key(other.content_id.digest), other.data)
    for plain in (opened, cbor.encode([b"x", b"y"])):
        resealed = seal(manifest_key(first.content_id.digest), plain)
        with pytest.raises(BadManifest):
            SealedManifest.parse(resealed, first.content_id)


def test_c1_a_flipped_bit_of_a_manifest_is_detected() -> None:
    """One bit in nonce, ciphertext or tag is enough to refuse it."""
    built = SealedManifest.build(GOOD, SEED)
    for at in (0, 11, 12, len(built.data) // 2, len(built.data) - 1):
        damaged = bytearray(built.data)
        damaged[at] ^= 1
        with pytest.raises(BadManifest):
            SealedManifest.parse(bytes(damaged), built.content_id)


def test_c4_a_wrong_whitening_key_is_named() -> None:
    """A link whose W is not the content's gets a sentence of its own."""
    GOOD.check_whitening(WHITENING)
    with pytest.raises(BadManifest, match="second half"):
        GOOD.check_whitening(b"x" * 16)
