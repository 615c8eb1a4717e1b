"""Who is willing to hold shares, and which code that allows."""

from collections.abc import Iterable
from typing import Final

from twisted.internet.defer import Deferred, TimeoutError

from bitsnode.codec.erasure import USUAL_HOLDERS, Code
from bitsnode.codec.layout import Layout
from bitsnode.content.asking import HolderFault, Tools, ask
from bitsnode.content.errors import TorDown
from bitsnode.content.upload import Holder
from bitsnode.content.waiting import all_of
from bitsnode.wire.card import HOUR
from bitsnode.wire.messages import AskTerms, Terms
from onion.address import OnionAddress
from onion.errors import AddressError
from onion.isolation import Isolation

CANDIDATES: Final = USUAL_HOLDERS * 3 // 2  # nodes asked, so that some may say no or fail
AT_ONCE: Final = 16  # nodes asked side by side
TERMS_SECONDS: Final = 10.0  # for one node's terms, the connection to it included
SHORTEST_LEASE: Final = 3 * HOUR  # records end on whole hours, so a shorter lease is of no use


async def find_willing(tools: Tools, isolation: Isolation, own_key: bytes | None) -> list[Holder]:
    """Ask nodes for their terms and return those that store, in the order found.

    Args:
        tools: ask them.
        isolation: of this publish.
        own_key: our own onion key, which is not counted as a holder.

    Raises:
        TorDown: nobody could be asked.
    """
    cards = await tools.dht.find_storers(CANDIDATES, isolation)
    keys = dict.fromkeys(card.card.onion_key for card in cards)
    limit = max(TERMS_SECONDS, tools.network.connect_seconds)

    tor_down: list[bool] = []

    async def terms(key: bytes) -> Holder | None:
        try:
            address = OnionAddress.from_public_key(key)
            asked = Deferred.fromCoroutine(
                ask(tools.peers, address, AskTerms(), isolation, TERMS_SECONDS)
            )
            found: Terms = await asked.addTimeout(limit, tools.clock)
        except HolderFault as fault:
            tor_down.append(fault.tor_down)
            return None
        except (AddressError, TimeoutError):
            return None
        if not found.largest or found.longest < SHORTEST_LEASE:
            return None
        return Holder(address, found.puzzle_bits, found.largest, found.longest)

    answers = await all_of((terms(key) for key in keys if key != own_key), AT_ONCE)
    willing = [holder for holder in answers if holder is not None]
    if not willing and any(tor_down):
        raise TorDown
    return willing


def fit(willing: Iterable[Holder], size: int) -> tuple[Code | None, list[Holder]]:
    """Choose the code for the holders that take shares of its size.

    Fewer holders mean a smaller k and so larger shares, which fewer may take: the answer is the
    largest number of holders that agree with themselves.

    Args:
        willing: those who gave terms.
        size: bytes of the content.

    Returns:
        The code, None when nobody takes a share of it, and all holders that fit it, which may be
        more than n.
    """
    fitting = list(willing)
    while fitting:
        code = Code.for_holders(len(fitting))
        needed = Layout(size, code.k, code.n).share_size
        smaller = [holder for holder in fitting if holder.largest >= needed]
        if len(smaller) == len(fitting):
            return code, fitting
        fitting = smaller
    return None, []
