"""Records to put into a simulated network."""

from nacl.signing import SigningKey

from bitsnode.wire.record import Record, RecordKind, SignedRecord


def make_record(
    seed: bytes, slot: bytes = b"", *, expires: float, value: bytes = b"sealed"
) -> SignedRecord:
    """Return a provider record signed with a 32-byte seed, with no puzzle solved."""
    owner = slot.ljust(32, b"\0")
    record = Record(
        version=2,
        kind=RecordKind.PROVIDER,
        public_key=bytes(SigningKey(seed).verify_key),
        slot_key=bytes(SigningKey(owner).verify_key),
        sequence=1,
        expires=int(expires),
        value=value,
        nonce=bytes(16),
        salt=b"",
    )
    return SignedRecord.sign(record, seed, owner)
