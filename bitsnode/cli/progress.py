"""The sentence that a person sees for each progress event of a command.

Needs the event as it comes over the control socket only, so that no command imports the rooms.
"""

import datetime
from collections.abc import Callable
from typing import Any, Final

from bitsnode.cli.amount import coins

Event = dict[str, Any]


def size(count: int) -> str:
    """Return a number of bytes for people, such as ``64.0 MiB``."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def day(time: int) -> str:
    """Return the day of a Unix time, in UTC, such as ``2026-11-23``."""
    return datetime.datetime.fromtimestamp(time, datetime.UTC).strftime("%Y-%m-%d")


def text_of(event: Event) -> str:
    """Return the event's sentence, or "" for one that people need not see."""
    if "text" in event:
        return str(event["text"])
    words = _WORDS.get(event.get("event", ""))
    return words(event) if words else ""


def _of(event: Event) -> str:
    share = 100 * event["done"] // event["total"] if event["total"] else 100
    return f"{size(event['done'])} of {size(event['total'])} ({share}%)"


def _code(event: Event) -> str:
    small = ", a small network: a smaller code than usual" if event["smaller_than_usual"] else ""
    return f"{event['willing']} nodes are willing: any {event['k']} of {event['n']}{small}"


def _terms(event: Event) -> str:
    crowd = event.get("crowd")
    hidden = f"among {crowd['unspent'] + 1}" if isinstance(crowd, dict) else "in an unknown crowd"
    return (
        f"costs {coins(event['price'])} coins, {coins(event['fee'])} of it for the relay; your"
        f" voucher hides {hidden}; any {event['threshold']} of {event['holders']} holders open it"
    )


def _waiting(event: Event) -> str:
    if "transaction_hash" in event:
        return "waiting until the transaction is in the chain"
    return f"{event['reason']} Trying again in {event['seconds']:.0f} s."


_WORDS: Final[dict[str, Callable[[Event], str]]] = {
    "finding_holders": lambda e: "looking for nodes that keep shares",
    "code_chosen": _code,
    "resuming": lambda e: "going on where an earlier attempt stopped",
    "staging": lambda e: f"encrypting {_of(e)}",
    "uploading": lambda e: f"uploading {_of(e)}, {e['stored']} of {e['shares']} shares kept",
    "holder_failed": lambda e: f"a node failed: {e['reason']}",
    "announcing": lambda e: "telling the network where the shares are",
    "locating": lambda e: "looking up who holds the shares",
    "manifest_verified": lambda e: (
        f"manifest verified: {size(e['size'])}, any {e['k']} of {e['n']}"
    ),
    "fetching": lambda e: f"fetching {_of(e)} from {e['holders']} nodes",
    "waiting": _waiting,
    "reading_chain": lambda e: f"reading the chain: block {e['block']} of {e['newest']}",
    "opening": lambda e: "opening the wallet, which is slow on purpose",
    "starting_over": lambda e: "the chain was reorganised: looking at all announcements again",
    "scanning": lambda e: (
        f"looked at {e['announcements']} announcements up to block {e['block']},"
        f" {e['found']} payments found"
    ),
    "asking_balances": lambda e: f"asking what {e['total']} addresses hold, {e['done']} done",
    "finishing": lambda e: f"finishing a withdrawal to {e['destination']} that was cut short",
    "proving": lambda e: "making the proof that spends the voucher",
    "looking_for_holders": lambda e: "looking for nodes that keep the key",
    "entrusting": lambda e: f"splitting the key among up to {e['candidates']} nodes",
    "in_custody": lambda e: f"any {e['threshold']} of {e['holders']} nodes can open it",
    "offer_announced": lambda e: f"the offer is announced at {e['nodes']} nodes",
    "looking_for_offer": lambda e: "looking for the offer",
    "terms": _terms,
    "taken_up": lambda e: f"going on with the purchase: {e['step']}",
    "proof_made": lambda e: "the proof is made",
    "submitting": lambda e: "handing the payment to a relay",
    "relay_failed": lambda e: f"a relay failed: {e.get('reason', '')}",
    "in_block": lambda e: f"paid in block {e.get('block', '')}",
    "reorganised": lambda e: "the chain was reorganised: looking for the payment again",
    "key_share_came": lambda e: f"key share from holder {e.get('index', '')}",
    "holder_lied": lambda e: f"key holder {e.get('index', '')} lied and is named",
    "holder_silent": lambda e: f"key holder {e.get('index', '')}: {e.get('reason', '')}",
    "sending": lambda e: f"sending transaction {e['number']} of {e['total']}",
    "shop_opening": lambda e: f"the shop's own tor: {e['percent']}% {e['summary']}",
    "shop_lost": lambda e: f"the shop cannot be reached: {e['reason']}",
    "invoices_looked_for": lambda e: (
        f"looked for {e['done']} invoices, asked for {e['asked']} balances, {e['found']} found"
    ),
    "preparing": lambda e: "taking metadata out, making a thumbnail and a preview",
    "in_shop": lambda e: "the item is in the shop",
    "offer_later": lambda e: f"no offer yet to buyers with a node: {e['reason']}",
    "decoding": lambda e: f"decrypting {_of(e)}",
}
