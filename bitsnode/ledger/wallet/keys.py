"""The keys of a wallet, all derived from its seed (BIP-32).

===================  ========================  =================================================
key                  path                      what for
===================  ========================  =================================================
account i            ``m/44'/60'/0'/0/i``      money from outside comes in here and pays for
                                               vouchers; as in other Ethereum wallets (BIP-44)
stealth spending     ``m/5564'/60'/0'/0'``     spends what was paid to the meta-address
stealth viewing      ``m/5564'/60'/0'/1'``     finds it
voucher seed         ``m/5564'/60'/1'/0'``     seed of all vouchers' secrets, see `voucher_keys`
===================  ========================  =================================================

The stealth keys have a purpose of their own (BIP-43), named after ERC-5564, and every step is
hardened: neither the viewing key nor any key of an account gives the spending key. Other
wallets derive theirs from a signature of an account's key, which would tie the two together.
"""

from typing import Any, Final

import attrs

from bitsnode.ledger.wallet.errors import WalletLocked
from bitsnode.ledger.wallet.mnemonic import seed_of
from bitsnode.ledger.wallet.voucher_keys import VoucherKeys
from zk.stealth import MetaAddress, address_of, public_key, stealth_private_key

ACCOUNT_PATH: Final = "m/44'/60'/0'/0/{index}"
SPENDING_PATH: Final = "m/5564'/60'/0'/0'"
VIEWING_PATH: Final = "m/5564'/60'/0'/1'"
VOUCHER_PATH: Final = "m/5564'/60'/1'/0'"


def derive(seed: bytes, path: str) -> bytes:
    """Return the private key (32 bytes) at a path of BIP-32."""
    from eth_account.hdaccount.deterministic import HDPath

    return HDPath(path).derive(seed)


@attrs.define
class KeySigner:
    """Signs transactions of one address, until it is told to forget the key.

    Attributes:
        address: checksummed.
    """

    address: str = attrs.field(on_setattr=attrs.setters.frozen)
    _private_key: bytes | None = attrs.field(repr=False)

    def sign_transaction(self, fields: dict[str, Any]) -> bytes:
        """Return the signed transaction as it goes to the chain.

        Args:
            fields: as web3 names them.

        Raises:
            ValueError: they name no chain, so that the transaction would be good on any.
            WalletLocked: the key was forgotten.
        """
        if not fields.get("chainId"):
            raise ValueError("a transaction must name its chain")
        if self._private_key is None:
            raise WalletLocked
        from eth_account import Account

        signed = Account.sign_transaction(fields, self._private_key)
        return bytes(signed.raw_transaction)

    def forget(self) -> None:
        """Drop the key; the ledger keeps signers for as long as something may be replaced."""
        self._private_key = None


@attrs.frozen
class ViewingKeys:
    """What finds payments and cannot spend them.

    Attributes:
        viewing_private_key: 32 bytes.
        meta_address: what is published.
    """

    viewing_private_key: bytes = attrs.field(repr=False)
    meta_address: MetaAddress


@attrs.frozen
class Keys:
    """All keys of a wallet; made for one task and dropped after it.

    Attributes:
        seed: 64 bytes, from BIP-39.
    """

    seed: bytes = attrs.field(repr=False)

    @classmethod
    def from_entropy(cls, entropy: bytes) -> "Keys":
        """Derive them from what the words stand for; the passphrase of BIP-39 is empty."""
        return cls(seed_of(entropy))

    def account(self, index: int) -> KeySigner:
        """Return the signer of account ``index``."""
        key = derive(self.seed, ACCOUNT_PATH.format(index=index))
        return KeySigner(address_of(key), key)

    def viewing(self) -> ViewingKeys:
        """Return what a scan needs."""
        viewing = derive(self.seed, VIEWING_PATH)
        spending = derive(self.seed, SPENDING_PATH)
        return ViewingKeys(viewing, MetaAddress(public_key(spending), public_key(viewing)))

    def vouchers(self, chain_id: int, contract: str) -> VoucherKeys:
        """Return the secrets of the vouchers of one contract (hex with 0x)."""
        address = bytes.fromhex(contract.removeprefix("0x"))
        return VoucherKeys(derive(self.seed, VOUCHER_PATH), chain_id, address)

    def payment(self, ephemeral_public_key: bytes) -> KeySigner:
        """Return the signer of the stealth address that was made with R (33 bytes).

        Raises:
            zk.stealth.StealthError: R makes no address.
        """
        key = stealth_private_key(
            derive(self.seed, SPENDING_PATH), derive(self.seed, VIEWING_PATH), ephemeral_public_key
        )
        return KeySigner(address_of(key), key)
