"""The index of all events of our contracts, kept in step with the chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import attrs
from twisted.internet.defer import DeferredLock

from bitsnode.ledger import errors
from bitsnode.ledger.announcements import Announcement, Cursor
from bitsnode.ledger.answers import Log
from bitsnode.ledger.contracts import first_topics
from bitsnode.ledger.deployment import Deployment
from bitsnode.ledger.index_store import IndexStore, Reach
from bitsnode.ledger.ranges import (
    BlockRange,
    Wanted,
    read_headers,
    read_logs,
    read_range,
    read_tag,
)
from bitsnode.ledger.rpc import Asker, Rpc
from onion.isolation import Isolation

WIDEST: Final = 10_000  # blocks asked for at once; more is refused by many servers
FIRST_WIDTH: Final = 2_000
# With a header for each block, ten batches
WIDEST_WITH_HEADERS: Final = 1_000
TOO_MUCH: Final = (errors.RpcRefused, errors.RpcAnswerTooLarge, errors.RpcHttpStatus)

OnProgress = Callable[[Reach, int], None]
"""Told how far the index is, and the number of the newest block."""


@attrs.frozen
class _Heads:
    """The newest block of a server and the newest final one."""

    latest: int
    final: int


class LogIndex:
    """All logs of the deployment's contracts, from its first block on.

    It asks for all of them, never for a person's: a server learns that somebody uses bits, not
    who. What it hands out is confirmed, unless asked otherwise: the chain calls it final, and
    with several servers two of them (or one's own) report the same events.
    """

    def __init__(self, path: Path, deployment: Deployment, rpcs: Sequence[Rpc]) -> None:
        """Open the file at `path`, or make it.

        Raises:
            LogIndexError: the file cannot be used; one class per cause.
        """
        if not rpcs:
            raise errors.NoRpc
        self._rpcs = sorted(rpcs, key=lambda rpc: not rpc.endpoint.own)
        addresses = [bytes.fromhex(each.address[2:]) for each in deployment.contracts.values()]
        self._deployment = deployment
        self._wanted = Wanted(tuple(sorted(addresses)), first_topics(deployment))
        self._width = FIRST_WIDTH
        self._lock = DeferredLock()
        self.store = IndexStore(path, deployment)

    @property
    def reach(self) -> Reach:
        """How far the index goes."""
        return self.store.reach()

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    def announcements(
        self, after: Cursor | None, limit: int, *, unconfirmed: bool = False
    ) -> list[Announcement]:
        """Announcements in the order of the chain, from behind a cursor.

        Unconfirmed ones may still vanish, and their cursors may then mean others.
        """
        return self.store.announcements(after, limit, self._last(unconfirmed))

    def events(
        self,
        contract: str,
        event: bytes,
        after: Cursor | None,
        limit: int,
        *,
        unconfirmed: bool = False,
    ) -> list[Log]:
        """Logs of a contract of the deployment with a first topic (32 bytes), as above."""
        address = bytes.fromhex(self._deployment.address(contract)[2:])
        return self.store.events(address, event, after, limit, self._last(unconfirmed))

    def mentions(self, address: str) -> bool:
        """Whether an address has a part in any event of our contracts, confirmed or not.

        It looks at every log, so it belongs into a thread.
        """
        return self.store.mentions(bytes.fromhex(address[2:]))

    def is_public(self, address: str) -> bool:
        """Whether an address (hex with 0x) is a contract's, or in any event, final or not."""
        found = bytes.fromhex(address.removeprefix("0x"))
        return found in self._wanted.addresses or self.store.names(found)

    async def sync(
        self, isolation: Isolation, on_progress: OnProgress = lambda _reach, _head: None
    ) -> Reach:
        """Read what is new, from the first server that is consistent.

        Raises:
            ChainRewritten: a block that was final is no longer in the chain.
            LogsDisagree: no two servers report the same events.
            RpcError: no server can be used; the error of the first one.
        """
        await self._lock.acquire()
        try:
            failures: list[errors.LedgerError] = []
            for rpc in self._rpcs:
                try:
                    await self._sync_with(rpc, isolation, on_progress)
                except (errors.RpcError, errors.LogIndexError) as error:
                    failures.append(error)
                else:
                    return self.reach
            loud = [each for each in failures if isinstance(each, errors.LogIndexError)]
            raise (loud or failures)[0]
        finally:
            self._lock.release()

    def _last(self, unconfirmed: bool) -> int:
        reach = self.store.reach()
        return reach.tip if unconfirmed else reach.confirmed

    async def _sync_with(self, rpc: Rpc, isolation: Isolation, on_progress: OnProgress) -> None:
        heads = await rpc.read(self._find_heads, isolation)
        await rpc.read(partial(self._drop_reorganised, rpc, heads), isolation)
        await self._confirm(rpc, heads, isolation)
        while self.reach.tip < heads.latest:
            await rpc.read(partial(self._extend, rpc, heads), isolation)
            await self._confirm(rpc, heads, isolation)
            on_progress(self.reach, heads.latest)

    def _find_heads(self, asker: Asker) -> _Heads:
        final = read_tag(asker, "finalized").number
        latest = read_tag(asker, "latest").number
        return _Heads(max(final, latest), final)

    # In the thread of a server

    def _drop_reorganised(self, rpc: Rpc, heads: _Heads, asker: Asker) -> None:
        """Roll back to the last block that the chain still has."""
        reach, known = self.store.reach(), self.store.hashes()
        numbers = sorted(number for number in known if number <= heads.latest)
        headers = read_headers(asker, numbers)
        same = {number for number in numbers if headers[number].hash == known[number]}
        if reach.confirmed in headers and reach.confirmed not in same:
            raise errors.ChainRewritten(rpc.name, f"block {reach.confirmed}")
        if reach.confirmed > heads.latest:
            raise errors.RpcWentBack(rpc.name, f"behind block {reach.confirmed}, which was final")
        changed = [number for number in known if number not in same]
        if changed:
            below = [number for number in same if number < min(changed)]
            self.store.roll_back(max(below, default=reach.confirmed))

    def _extend(self, rpc: Rpc, heads: _Heads, asker: Asker) -> None:
        """Add the next range, as wide as the server can answer."""
        first = self.store.reach().tip + 1
        deep = first <= heads.final
        # Unconfirmed blocks are kept one by one, to see where a reorganisation begins. Nobody
        # vouches for a lone foreign server, so its answers are held against all its headers.
        all_headers = not deep or (len(self._rpcs) == 1 and not rpc.endpoint.own)
        while True:
            widest = min(self._width, WIDEST_WITH_HEADERS if all_headers else WIDEST)
            last = min(first + widest - 1, heads.final if deep else heads.latest)
            try:
                found = read_range(asker, self._wanted, first, last, all_headers=all_headers)
            except TOO_MUCH:
                if last == first:
                    raise
                self._width = max(1, (last - first + 1) // 2)
            except errors.RpcTimedOut:
                self._width = max(1, self._width // 4)
                raise
            else:
                self._width = min(2 * self._width, WIDEST)
                break
        self._check_link(found)
        self.store.extend(last, found.headers.values(), found.logs)

    def _check_link(self, found: BlockRange) -> None:
        before, header = self.store.hashes().get(found.first - 1), found.headers.get(found.first)
        if before is not None and header is not None and header.parent != before:
            raise errors.RpcAnswerInvalid("a block that does not follow the one before")

    # Confirming

    async def _confirm(self, rpc: Rpc, heads: _Heads, isolation: Isolation) -> None:
        """Take what the chain calls final for final, if two servers say the same or one's own."""
        reach = self.reach
        final = min(heads.final, reach.tip)
        if final <= reach.confirmed:
            return
        hashes = self.store.hashes()
        if final not in hashes:
            # ranges end at the final block of their time, so what is between is confirmed with
            # the next block that is known one by one
            final = max((number for number in hashes if number <= final), default=-1)
            if final <= reach.confirmed:
                return
        witnesses = [each for each in self._rpcs if each is not rpc]
        if not rpc.endpoint.own and witnesses:
            await self._find_witness(witnesses, reach.confirmed + 1, final, isolation)
        await rpc.read(lambda _asker: self.store.confirm(final), isolation)

    async def _find_witness(
        self, witnesses: Sequence[Rpc], first: int, last: int, isolation: Isolation
    ) -> None:
        """Find one other server that says the same of a range.

        Raises:
            LogsDisagree: all that answer say otherwise.
            RpcError: none answers.
        """
        failure: errors.LedgerError | None = None
        for witness in witnesses:
            try:
                await witness.read(partial(self._compare, witness, first, last), isolation)
            except errors.RpcError as error:
                failure = failure or error
            except errors.LogsDisagree as error:
                failure = error
            else:
                return
        # What the first server told may be the lie: it is read anew from the next one.
        if isinstance(failure, errors.LogsDisagree):
            self.store.roll_back(self.reach.confirmed)
        if failure is not None:
            raise failure

    def _compare(self, witness: Rpc, first: int, last: int, asker: Asker) -> None:
        header = read_headers(asker, [last])[last]
        if header.hash != self.store.hashes().get(last):
            raise errors.LogsDisagree(witness.name, f"block {last}")
        for start in range(first, last + 1, self._width):
            end = min(start + self._width - 1, last)
            logs = read_logs(asker, self._wanted, start, end)
            if [log for log in logs if self.store.keeps(log)] != self.store.logs(start, end):
                raise errors.LogsDisagree(witness.name, f"blocks {start} to {end}")
