"""The words a person writes down (BIP-39, English), the entropy they stand for, and the seed.

The word list and the check are eth-account's. That package takes most of a second to import,
so it is imported only here and only when words or keys are needed.
"""

import secrets
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Final

from bitsnode.ledger.wallet.errors import InvalidMnemonic

if TYPE_CHECKING:
    from eth_account.hdaccount.mnemonic import Mnemonic

ENTROPY_SIZES: Final = {12: 16, 15: 20, 18: 24, 21: 28, 24: 32}  # bytes by number of words
BITS_PER_WORD: Final = 11
MAX_TEXT: Final = 1000  # characters; 24 words of the list have at most 215


@cache
def _list() -> "Mnemonic":
    from eth_account.hdaccount.mnemonic import Mnemonic

    return Mnemonic()


def draw_entropy(words: int) -> bytes:
    """Draw the entropy of a new wallet.

    Raises:
        ValueError: words are neither 12 nor 24.
    """
    if words not in (12, 24):
        raise ValueError("a wallet has 12 or 24 words")
    return secrets.token_bytes(ENTROPY_SIZES[words])


def words_of(entropy: bytes) -> str:
    """Return the words that stand for 16 to 32 bytes of entropy."""
    return _list().to_mnemonic(entropy)


def entropy_of(text: str) -> bytes:
    """Return the entropy that words stand for; case and white space do not matter.

    Raises:
        InvalidMnemonic: a word is not in the list, or the checksum does not fit. The error does
            not say which word, as it may be logged.
    """
    if len(text) > MAX_TEXT:
        raise InvalidMnemonic
    words = unicodedata.normalize("NFKD", text).lower().split()
    words_known = _list()
    if not words_known.is_mnemonic_valid(" ".join(words)):
        raise InvalidMnemonic
    number = 0
    for word in words:
        number = number << BITS_PER_WORD | words_known.wordlist.index(word)
    size = ENTROPY_SIZES[len(words)]
    checksum_bits = len(words) * BITS_PER_WORD - 8 * size
    return (number >> checksum_bits).to_bytes(size, "big")


def seed_of(entropy: bytes, passphrase: str = "") -> bytes:
    """Return the seed, 64 bytes, that BIP-39 derives from the words."""
    return _list().to_seed(words_of(entropy), passphrase)
