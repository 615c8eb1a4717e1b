"""Words, seeds and paths against the vectors of BIP-39 and BIP-32."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsnode.ledger.wallet.errors import InvalidMnemonic
from bitsnode.ledger.wallet.keys import Keys, derive
from bitsnode.ledger.wallet.mnemonic import draw_entropy, entropy_of, seed_of, words_of
from zk.stealth import address_of, generate, public_key

FILE = json.loads((Path(__file__).parents[2] / "vectors" / "wallet_seeds.json").read_text())
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
JUNK = "test test test test test test test test test test test junk"


def private_key(xprv: str) -> bytes:
    """Read the key out of an extended private key (BIP-32, serialization format)."""
    number = 0
    for letter in xprv:
        number = number * 58 + BASE58.index(letter)
    data = number.to_bytes(82, "big")
    assert hashlib.sha256(hashlib.sha256(data[:78]).digest()).digest()[:4] == data[78:]
    return data[46:78]


@pytest.mark.parametrize("vector", FILE["bip39"], ids=lambda vector: vector["entropy"][:8])
def test_bip39_vectors(vector: dict[str, Any]) -> None:
    """Entropy, words, seed and master key are those of the reference implementation."""
    entropy = bytes.fromhex(vector["entropy"])
    assert words_of(entropy) == vector["words"]
    assert entropy_of(vector["words"]) == entropy
    seed = seed_of(entropy, "TREZOR")
    assert seed.hex() == vector["seed"]
    assert derive(seed, "m") == private_key(vector["master"])


@pytest.mark.parametrize("vector", FILE["bip32"], ids=lambda vector: vector["path"])
def test_bip32_vectors(vector: dict[str, Any]) -> None:
    """Hardened and plain steps give the keys of the standard."""
    seed = bytes.fromhex(vector["seed"])
    assert derive(seed, vector["path"]) == private_key(vector["key"])


def test_accounts_are_those_of_other_wallets() -> None:
    """The words that every Ethereum tool tests with give the addresses they all give."""
    keys = Keys.from_entropy(entropy_of(JUNK))
    assert keys.account(0).address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert keys.account(1).address == "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


def test_stealth_keys_never_change() -> None:
    """The meta-address of known words is pinned: another one would lose what was paid to it."""
    meta = Keys.from_entropy(entropy_of(JUNK)).viewing().meta_address
    assert str(meta) == (
        "st:eth:0x0227051fb9fdc475ad7da23a0e2797551e11053eb65a51f73237ff04a1ea425dd3"
        "02d8e2df8391bfb3cd03393ce94a8c7f4ca459c1d217e659e89d285e57d1cd6e53"
    )


def test_payment_signer_owns_the_stealth_address() -> None:
    """What a payer makes of the meta-address is what the wallet signs for."""
    keys = Keys.from_entropy(entropy_of(JUNK))
    paid = generate(keys.viewing().meta_address, b"\x07" * 32)
    assert keys.payment(public_key(b"\x07" * 32)).address == paid.stealth_address


@given(st.sampled_from([16, 20, 24, 28, 32]).flatmap(lambda n: st.binary(min_size=n, max_size=n)))
def test_words_and_entropy_are_the_same_thing(entropy: bytes) -> None:
    """Any entropy comes back from its words."""
    assert entropy_of(words_of(entropy)) == entropy


def test_words_are_read_as_people_type_them() -> None:
    """Case, line breaks and wide letters do not matter."""
    assert entropy_of(f"  {JUNK.upper()}\n".replace(" ", "\n ")) == entropy_of(JUNK)
    assert entropy_of(JUNK.replace("junk", "\uff4aunk")) == entropy_of(JUNK)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "test",
        JUNK.replace("junk", "test"),
        JUNK.replace("junk", "junkyard"),
        JUNK.replace(" junk", ""),
        f"{JUNK} test",
        "test " * 100_000,
        "0x" + "00" * 16,
    ],
    ids=range(8),
)
def test_wrong_words_are_refused_and_not_repeated(text: str) -> None:
    """Whatever is wrong, the error is one sentence without any of the words."""
    with pytest.raises(InvalidMnemonic) as caught:
        entropy_of(text)
    assert str(caught.value) == InvalidMnemonic.__doc__
    assert caught.value.__context__ is None


def test_new_wallets_differ() -> None:
    """12 and 24 words are drawn, other numbers are not, and no two are the same."""
    assert len(words_of(draw_entropy(12)).split()) == 12
    assert len(words_of(draw_entropy(24)).split()) == 24
    assert draw_entropy(12) != draw_entropy(12)
    with pytest.raises(ValueError, match="12 or 24"):
        draw_entropy(11)


def test_signer_signs_for_one_chain_only() -> None:
    """A transaction that names no chain would be good on all, so it is not signed."""
    signer = Keys.from_entropy(entropy_of(JUNK)).account(0)
    with pytest.raises(ValueError, match="chain"):
        signer.sign_transaction({"nonce": 0, "to": signer.address, "value": 0})


def test_no_key_shows_itself() -> None:
    """No repr has any part of a secret."""
    keys = Keys.from_entropy(entropy_of(JUNK))
    text = repr((keys, keys.account(0), keys.viewing(), keys.payment(public_key(b"\x07" * 32))))
    secrets = [keys.seed, keys.viewing().viewing_private_key]
    secrets += [derive(keys.seed, f"m/44'/60'/0'/0/{index}") for index in range(2)]
    assert address_of(secrets[2]) == keys.account(0).address
    for secret in secrets:
        assert secret.hex() not in text
        assert repr(secret)[2:-1] not in text


def test_nothing_heavy_is_imported_until_keys_are_needed() -> None:
    """A node without a wallet does not pay for eth-account and its dependencies."""
    code = (
        "import sys, bitsnode.ledger.wallet.keystore, bitsnode.ledger.wallet.keys\n"
        "assert not {'eth_account', 'web3', 'eth_keys'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
