"""The secrets of vouchers: every one from the wallet's seed, chain, contract and index.

secret = HKDF-SHA256(voucher seed, no salt, info = "bits/voucher/v1" ‖ chain id (u64) ‖ contract
(20 bytes) ‖ index (u32), 64 bytes), reduced to a scalar as `zk.semaphore` says. An index is used
for one deposit of any denomination: one secret in two groups would show the same nullifier twice.
"""

from typing import Final

import attrs
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bitsnode.ledger.redemption import address_text, scope_of
from zk.semaphore import SEED_SIZE, commitment, nullifier, secret_from_seed

INFO: Final = b"bits/voucher/v1"
MAX_INDEX: Final = (1 << 32) - 1


@attrs.frozen
class Identity:
    """What a voucher shows: the one when it is bought, the other when it is spent.

    Attributes:
        index: of its secret.
        commitment: field element.
        nullifier: field element.
    """

    index: int
    commitment: int
    nullifier: int


@attrs.frozen
class VoucherKeys:
    """The secrets of the vouchers of one contract; made for one task and dropped after it.

    Attributes:
        seed: 32 bytes.
        chain_id: as in EIP-155.
        contract: address, 20 bytes.
    """

    seed: bytes = attrs.field(repr=False)
    chain_id: int
    contract: bytes

    def secret(self, index: int) -> int:
        """Return the secret scalar of a voucher."""
        place = self.chain_id.to_bytes(8, "big") + self.contract + index.to_bytes(4, "big")
        drawn = HKDF(SHA256(), SEED_SIZE, None, INFO + place).derive(self.seed)
        return secret_from_seed(drawn)

    def identity(self, index: int) -> Identity:
        """Return what a voucher shows; takes a few milliseconds."""
        secret, scope = self.secret(index), scope_of(self.chain_id, address_text(self.contract))
        return Identity(index, commitment(secret), nullifier(secret, scope))
