"""Who this node is to other nodes: its keys, and the card it shows them.

Kept in ``HOME/keys/``: one seed a file, 0600, and ``card.json`` with what was paid for the
card's position. A publisher's keys are other keys and live elsewhere.
"""

import json
import os
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import attrs
import nacl.public
import nacl.signing

from bitsnode.config import Network
from bitsnode.errors import BitsError
from bitsnode.ids import leading_zero_bits
from bitsnode.wire.card import (
    CARD_VERSION,
    HOUR,
    NodeCard,
    SignedCard,
    puzzle_proof,
    solve_puzzle,
)
from onion.keys import OnionKey, load_or_create_seed

CARD_STATE_VERSION: Final = 1
CARD_LIFETIME: Final = (
    3 * 24 * HOUR
)  # seconds; renewed each day, so two missed renewals are no loss
SLICE: Final = 20_000  # hashes between two looks at whether the node is stopping


class CardStateDamaged(BitsError):
    """The file keys/card.json of this home is damaged; delete it and a new position is found."""


class CardStateTooNew(BitsError):
    """The file keys/card.json was written by a newer bits; use that version."""


RunInThread = Callable[[Callable[[], bytes | None]], Awaitable[bytes | None]]


class NodeIdentity:
    """The keys of a node and its card.

    Args:
        keys: directory of the keys (0700); made when it is missing.
        network: the network the card is for.
        capabilities: bits of `bitsnode.wire.card.Capability`.

    Raises:
        onion.errors.KeyFileError: a key file is damaged or open to others.
        CardStateDamaged: the card's file cannot be read.
        CardStateTooNew: the card's file has a later version.
    """

    def __init__(self, keys: Path, network: Network, capabilities: int) -> None:
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.onion_key = OnionKey(load_or_create_seed(keys / "onion.seed"))
        self.signing_key = nacl.signing.SigningKey(load_or_create_seed(keys / "signing.seed"))
        self._sealing_key = nacl.public.PrivateKey(load_or_create_seed(keys / "sealing.seed"))
        self._network = network
        self._capabilities = capabilities
        self._file = _CardFile.load(keys / "card.json")
        self._card: SignedCard | None = None

    @property
    def card(self) -> SignedCard | None:
        """The card to show now; None until the admission puzzle is solved."""
        return self._card

    @property
    def sealing_seed(self) -> bytes:
        """Private half of the card's sealing key (X25519), 32 bytes."""
        return bytes(self._sealing_key)

    @property
    def solved(self) -> bool:
        """Whether a nonce is known that this network accepts."""
        nonce = self._file.nonce
        proof = puzzle_proof(self.onion_key.public_key, nonce) if nonce else b"\xff"
        return leading_zero_bits(proof) >= self._network.card_bits

    async def solve(self, run: RunInThread) -> None:
        """Find a nonce; about 2**card_bits hashes, in slices given to ``run``."""
        key, bits, start = self.onion_key.public_key, self._network.card_bits, 0
        while not self.solved:
            found = await run(lambda at=start: solve_puzzle(key, bits, at, SLICE))  # type: ignore[misc]
            start += SLICE
            if found is not None:
                self._file = self._file.save(nonce=found)

    def renew(self, now: float) -> SignedCard:
        """Sign a new card, valid for `CARD_LIFETIME` from ``now`` (Unix seconds).

        The sequence is stored before the card is signed, so that two cards never share one.
        """
        self._file = self._file.save(sequence=self._file.sequence + 1)
        card = NodeCard(
            version=CARD_VERSION,
            network=self._network.name,
            onion_key=self.onion_key.public_key,
            signing_key=bytes(self.signing_key.verify_key),
            sealing_key=bytes(self._sealing_key.public_key),
            capabilities=self._capabilities,
            nonce=self._file.nonce,
            sequence=self._file.sequence,
            expires=(int(now) // HOUR) * HOUR + CARD_LIFETIME,
        )
        self._card = SignedCard.sign(card, self.onion_key.sign)
        return self._card


def raise_card_sequence(path: Path, least: int) -> None:
    """Have the next card's sequence be above ``least``, in the file ``card.json`` at ``path``.

    Raises:
        CardStateDamaged, CardStateTooNew: the file cannot be read.
    """
    state = _CardFile.load(path)
    state.save(sequence=max(state.sequence, least))


@attrs.frozen
class _CardFile:
    path: Path
    nonce: bytes
    sequence: int

    @classmethod
    def load(cls, path: Path) -> "_CardFile":
        try:
            found = json.loads(path.read_text())
            if found["version"] > CARD_STATE_VERSION:
                raise CardStateTooNew
            nonce, sequence = bytes.fromhex(found["nonce"]), found["sequence"]
            struct.pack(">Q", sequence)
            return cls(path, nonce, sequence)
        except FileNotFoundError:
            return cls(path, b"", 0)
        except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
            raise CardStateDamaged from error

    def save(self, nonce: bytes | None = None, sequence: int | None = None) -> "_CardFile":
        new = attrs.evolve(
            self,
            nonce=self.nonce if nonce is None else nonce,
            sequence=self.sequence if sequence is None else sequence,
        )
        draft = self.path.with_suffix(".new")
        with open(draft, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            state = {"version": CARD_STATE_VERSION, "nonce": new.nonce.hex()}
            json.dump(state | {"sequence": new.sequence}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
        return new
