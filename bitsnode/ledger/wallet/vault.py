"""A keystore and the history that goes with it: makes the wallet, opens it, changes its password.

Blocking, and for one caller at a time.
"""

from collections.abc import Callable

from bitsnode.ledger.wallet.errors import (
    HistoryOfAnotherWallet,
    NoWallet,
    OtherWallet,
    WalletExists,
)
from bitsnode.ledger.wallet.history import History
from bitsnode.ledger.wallet.keys import Keys, ViewingKeys
from bitsnode.ledger.wallet.keystore import Cost, Keystore, check_password, seal, unseal
from bitsnode.ledger.wallet.mnemonic import draw_entropy, entropy_of, words_of


class Vault:
    """Gives out keys against the password.

    Args:
        keystore: the file.
        history: of the chain in use.
        cost: of guessing the password, for keystores written from now on.
        unlocked: told the viewing keys when the wallet is made, brought back or unlocked.
    """

    def __init__(
        self,
        keystore: Keystore,
        history: History,
        cost: Cost,
        unlocked: Callable[[ViewingKeys], None],
    ) -> None:
        self._keystore = keystore
        self._history = history
        self._cost = cost
        self._unlocked = unlocked

    def check_exists(self) -> None:
        """Make sure that there is a wallet.

        Raises:
            NoWallet: there is none.
        """
        if not self._keystore.exists:
            raise NoWallet

    def create(self, words: int, password: str) -> str:
        """Make a wallet and return its words; see `Wallet.create`."""
        check_password(password)
        if self._keystore.exists:
            raise WalletExists
        entropy = draw_entropy(words)
        self._write(self._keystore.create, entropy, password)
        return words_of(entropy)

    def restore(self, mnemonic: str, password: str) -> None:
        """Bring a wallet back; see `Wallet.restore`."""
        check_password(password)
        entropy = entropy_of(mnemonic)
        write = self._keystore.create
        if self._keystore.exists:
            if not self._keystore.is_of(Keys.from_entropy(entropy).viewing().meta_address):
                raise OtherWallet
            write = self._keystore.replace
        self._write(write, entropy, password)

    def open(self, password: str) -> Keys:
        """Return all keys; to be dropped soon."""
        keys = Keys.from_entropy(self._unseal(password))
        self._claim(keys)
        return keys

    def unlock(self, password: str) -> None:
        """Give out the viewing keys, to be kept."""
        self._unlocked(self.open(password).viewing())

    def mnemonic(self, password: str) -> str:
        """Return the words."""
        return words_of(self._unseal(password))

    def change_password(self, old: str, new: str) -> None:
        """Write the keystore anew; the wallet is unlocked then."""
        self._write(self._keystore.replace, self._unseal(old), new)

    def new_account(self, password: str) -> str:
        """Add the next account and return its address."""
        keys = self.open(password)
        index = max(self._history.accounts()) + 1
        address = keys.account(index).address
        self._history.add_account(index, address)
        return address

    def _write(self, write: Callable[[bytes], None], entropy: bytes, password: str) -> None:
        keys = Keys.from_entropy(entropy)
        meta = keys.viewing().meta_address
        if self._history.meta_address() not in (None, str(meta)):
            raise HistoryOfAnotherWallet
        write(seal(entropy, meta, password, self._cost))
        self._claim(keys)
        self._unlocked(keys.viewing())

    def _unseal(self, password: str) -> bytes:
        return unseal(self._keystore.read(), password)

    def _claim(self, keys: Keys) -> None:
        self._history.claim(str(keys.viewing().meta_address))
        if not self._history.accounts():
            self._history.add_account(0, keys.account(0).address)
