"""What invoices are made of, drawn from one seed and a counter. Pure.

Invoice i has HKDF-SHA256(seed, no salt, info = "bits/invoice/v1" ‖ chain id (u64) ‖ factory (20
bytes) ‖ i (u64) ‖ attempt (u8), 80 bytes): the ephemeral scalar of ERC-5564 (32 bytes), the salt of
the address (32 bytes), the id (16 bytes). Who has no seed cannot tell them from random bytes, so
neither the count nor that two are one shop's can be seen. An index is used once for ever: the same
one twice would be one address for two buyers.
"""

import itertools
from typing import Final

import attrs
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bitsnode.ids import Context
from bitsnode.ledger.invoice import SALT_SIZE, InvoiceFields
from bitsnode.market.invoice import ID_SIZE
from zk.stealth import PRIVATE_KEY_SIZE, DegenerateKeys, InvalidPrivateKey, MetaAddress, generate

MAX_INDEX: Final = (1 << 63) - 1  # what a row of SQLite holds
_SIZE: Final = PRIVATE_KEY_SIZE + SALT_SIZE + ID_SIZE  # bytes


@attrs.frozen
class Drawn:
    """What one invoice is made of, but for its fee.

    Attributes:
        id: 16 bytes.
        payee: stealth address, 20 bytes.
        ephemeral: R, 33 bytes.
        view_tag: of ERC-5564.
        salt: 32 bytes.
    """

    id: bytes
    payee: bytes = attrs.field(repr=False)
    ephemeral: bytes = attrs.field(repr=False)
    view_tag: int = attrs.field(repr=False)
    salt: bytes = attrs.field(repr=False)

    def fields(self, fee: int) -> InvoiceFields:
        """Return what its address is made of with a fee (wei)."""
        return InvoiceFields(self.payee, self.ephemeral, self.view_tag, fee, self.salt)


@attrs.frozen
class InvoiceKeys:
    """Draws the invoices of one shop.

    Attributes:
        seed: 32 bytes.
        chain_id: as in EIP-155.
        factory: of the invoices, 20 bytes.
    """

    seed: bytes = attrs.field(repr=False)
    chain_id: int
    factory: bytes

    def draw(self, meta: MetaAddress, index: int) -> Drawn:
        """Return what an invoice is made of; the scalar is forgotten at once.

        Args:
            meta: whom it pays.
            index: from 0 to 2**63 - 1.
        """
        place = self.chain_id.to_bytes(8, "big") + self.factory + index.to_bytes(8, "big")
        for attempt in itertools.count():  # a second one is needed once in 2**128
            info = Context.INVOICE + place + bytes([attempt])
            drawn = HKDF(SHA256(), _SIZE, None, info).derive(self.seed)
            scalar, rest = drawn[:PRIVATE_KEY_SIZE], drawn[PRIVATE_KEY_SIZE:]
            try:
                payment = generate(meta, scalar)
            except (InvalidPrivateKey, DegenerateKeys):
                continue
            break
        payee = bytes.fromhex(payment.stealth_address[2:])
        tag = payment.view_tag
        return Drawn(rest[SALT_SIZE:], payee, payment.ephemeral_public_key, tag, rest[:SALT_SIZE])
