"""An ordinary wallet: it reads the text of a payment and sends a plain transfer."""

import re
from pathlib import Path
from typing import Final

import attrs
from eth_account import Account

from bitsnode.cli.ipc import ask_chain
from tests.acceptance.cli_net import wait_for

_REQUEST: Final = re.compile(r"ethereum:(0x[0-9a-fA-F]{40})@(\d+)\?value=(\d+)")
GAS: Final = 50_000  # a plain transfer to an address without code needs 21,000


@attrs.frozen
class Wanted:
    """What an invoice asks for (ERC-681).

    Attributes:
        address: whom to pay.
        chain_id: where.
        amount: wei.
    """

    address: str
    chain_id: int
    amount: int

    @classmethod
    def read(cls, page: str) -> "Wanted":
        """Find the one request in the text of a page."""
        (found,) = set(_REQUEST.findall(page))
        return cls(found[0], int(found[1]), int(found[2]))


def pay(chain: Path, wanted: Wanted) -> str:
    """Pay from a fresh account that the chain's faucet fills; return the transaction's hash."""
    account = Account.create()
    ask_chain(chain, "bits_fund", [account.address, hex(2 * wanted.amount + 10**16)])
    wait_for(lambda: int(ask_chain(chain, "eth_getBalance", [account.address, "latest"]), 16) > 0)
    signed = account.sign_transaction(
        {
            "to": wanted.address,
            "value": wanted.amount,
            "gas": GAS,
            "gasPrice": 2 * int(ask_chain(chain, "eth_gasPrice", []), 16),
            "nonce": 0,
            "chainId": wanted.chain_id,
        }
    )
    sent: str = ask_chain(chain, "eth_sendRawTransaction", ["0x" + signed.raw_transaction.hex()])
    return sent
