"""Bring freshly started tors to a first consensus that all of them have."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet import task

from onion.localnet.config import VOTE_LEAD, vote_now
from onion.localnet.daemon import RelayDaemon
from onion.localnet.progress import Stage, Tell

POLL_INTERVAL = 0.05  # seconds between two looks at the tors
VOTE_PATIENCE = VOTE_LEAD + 4.0  # seconds until a vote that did not happen is asked for again

_Condition = Callable[[RelayDaemon], Awaitable[bool]]


async def reach(reactor: Any, daemons: Sequence[RelayDaemon], tell: Tell) -> None:
    """Hold the first vote when `daemons[0]`, the authority, knows all `daemons`, and spread it.

    Returns when every relay has the consensus and the descriptors to build circuits.
    """
    authority, *relays = daemons

    async def until(stage: Stage, waiting: Sequence[RelayDaemon], condition: _Condition) -> None:
        total, left = len(waiting), list(waiting)
        tell(stage, 0, total)
        while left:
            still = [daemon for daemon in left if not await condition(daemon)]
            if len(still) < len(left):
                tell(stage, total - len(still), total)
            left = still
            if left:
                await task.deferLater(reactor, POLL_INTERVAL)

    async def known(daemon: RelayDaemon) -> bool:
        return await authority.accepts(f"GETINFO desc/name/{daemon.relay.nickname}")

    asked: float | None = None

    async def agreed(daemon: RelayDaemon) -> bool:
        nonlocal asked
        # Asked again should the moment have passed before tor took it, on a machine that stalls.
        if asked is None or reactor.seconds() - asked > VOTE_PATIENCE:
            asked = reactor.seconds()
            await daemon.command(vote_now(asked))
        return await daemon.accepts("GETINFO dir/status-vote/current/consensus-microdesc")

    async def informed(daemon: RelayDaemon) -> bool:
        return (await daemon.command("GETINFO status/enough-dir-info")).strip().endswith("=1")

    await until(Stage.DESCRIPTORS, daemons, known)
    await until(Stage.VOTE, [authority], agreed)
    for relay in relays:
        await relay.command("SIGNAL RELOAD")  # else it looks again only after a minute
    await until(Stage.RELAYS, daemons, informed)
