"""The sentence that a person sees for each event of the node."""

import re

import attrs

from bitsnode.events import (
    ChainDeployed,
    ChainEvent,
    ChainReachable,
    ChainServed,
    NodeEvent,
    NodeIdentified,
    NodeReachable,
    PeersKnown,
    PeersUnknown,
    PuzzleBegun,
    ShopIdentified,
    ShopLost,
    ShopOpening,
    ShopReachable,
)
from onion import events


def sentence(event: NodeEvent | ChainEvent) -> tuple[str, dict[str, object], str]:
    """Return an event's name and values for machines, and its sentence for people."""
    name = _NAMES.get(type(event)) or _snake(type(event).__name__)
    values: dict[str, object] = {
        key: value if isinstance(value, int | float | str | bool) else str(value)
        for key, value in attrs.asdict(event, recurse=False).items()
    }
    return name, values, _text(event)


_NAMES: dict[type, str] = {NodeIdentified: "identity", NodeReachable: "reachable"}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _text(event: NodeEvent | ChainEvent) -> str:
    match event:
        case NodeIdentified(peer_onion=onion):
            text = f"peer onion   {onion}"
        case NodeReachable():
            text = "reachable    this node was reached through Tor; Ctrl-C stops it"
        case PuzzleBegun(bits=bits):
            text = (
                f"puzzle       paying for a place in the network ({bits} bits); a client until then"
            )
        case PeersKnown(count=count):
            text = f"peers        {count} known" if count in (0, 1) else ""
        case PeersUnknown():
            text = "peers        this node knows no peers: give it one with --bootstrap ONION"
        case ShopIdentified(shop_onion=onion):
            text = f"shop onion   {onion}"
        case ShopOpening(percent=percent, summary=summary):
            text = f"shop         {percent:3d}% {summary}"
        case ShopReachable():
            text = "shop         open: it was reached through Tor"
        case ShopLost(reason=reason):
            text = f"shop         cannot be reached: {reason}; trying again"
        case ChainServed(socket=socket, chain_id=chain_id, height=height):
            text = f"chain        {chain_id} at height {height}; RPC at {socket}"
        case ChainDeployed(deployment=deployment, contracts=count):
            text = f"contracts    {count} deployed, see {deployment}"
        case ChainReachable(rpc=rpc):
            text = f"reachable    RPC at {rpc}; Ctrl-C stops the chain"
        case events.TorStarting(attached=attached):
            text = "tor          " + ("attaching to the tor given" if attached else "starting")
        case events.TorBootstrapping(percent=percent, summary=summary):
            text = f"tor          {percent:3d}% {summary}"
        case events.TorReady(version=version):
            text = f"tor          {version} is ready"
        case events.TorLost(reason=reason):
            text = f"tor          lost: {reason}; getting it back"
        case events.TorBack():
            text = "tor          back"
        case events.ServicePublishing():
            text = "onion        publishing the descriptor"
        case events.ServiceLost(reason=reason):
            text = f"onion        cannot be reached: {reason}; publishing it anew"
        case _:
            text = ""
    return text
