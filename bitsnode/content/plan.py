"""Which block to ask of whom next. Pure: it knows indices and chunks, not holders."""

import bisect
from collections.abc import Iterable
from typing import Final

import attrs

LOOK_AHEAD: Final = 256  # chunks looked at for one that a share can help with


@attrs.define
class _Chunk:
    """A chunk that is not there yet: shares held, under way, and those of them too slow."""

    held: set[int] = attrs.Factory(set)
    flying: set[int] = attrs.Factory(set)
    hedged: set[int] = attrs.Factory(set)

    def wants(self, k: int) -> bool:
        return len(self.held) + len(self.flying - self.hedged) < k


class Plan:
    """The blocks still needed: any k of different shares for each chunk, the first chunks first.

    Args:
        k: blocks that rebuild a chunk.
        chunks: what is needed.
    """

    def __init__(self, k: int, chunks: Iterable[int]) -> None:
        self._k = k
        self._missing = {chunk: _Chunk() for chunk in chunks}
        self._wanting = sorted(self._missing)

    @property
    def complete(self) -> bool:
        """Whether k blocks of every chunk are there."""
        return not self._missing

    def take(self, index: int) -> int | None:
        """Choose the next chunk whose block of share ``index`` is useful, and count it as asked.

        Returns:
            The chunk, or None when this share has nothing to add now.
        """
        for chunk in self._wanting[:LOOK_AHEAD]:
            state = self._missing[chunk]
            if index not in state.held and index not in state.flying:
                state.flying.add(index)
                self._update(chunk)
                return chunk
        return None

    def failed(self, chunk: int, index: int) -> None:
        """The block of a chunk that was asked for did not come."""
        state = self._missing.get(chunk)
        if state is not None:
            state.flying.discard(index)
            state.hedged.discard(index)
            self._update(chunk)

    def arrived(self, chunk: int, index: int) -> frozenset[int]:
        """The block of a chunk is there and verified.

        Returns:
            Shares whose blocks of this chunk are under way and not needed any more.
        """
        state = self._missing.get(chunk)
        if state is None:
            return frozenset()
        state.flying.discard(index)
        state.hedged.discard(index)
        state.held.add(index)
        if len(state.held) < self._k:
            self._update(chunk)
            return frozenset()
        del self._missing[chunk]
        self._unwant(chunk)
        return frozenset(state.flying)

    def hedge(self, chunk: int, index: int) -> None:
        """The block of a chunk is late: let another share stand in for it."""
        state = self._missing.get(chunk)
        if state is not None and index in state.flying:
            state.hedged.add(index)
            self._update(chunk)

    def within_reach(self, indices: set[int]) -> int:
        """Return how many blocks of the worst-off chunk can be had from these shares."""
        return min((len(state.held | indices) for state in self._missing.values()), default=self._k)

    def useful(self, index: int) -> bool:
        """Return whether some chunk lacks the block of this share and more."""
        return any(index not in state.held for state in self._missing.values())

    def _update(self, chunk: int) -> None:
        if self._missing[chunk].wants(self._k):
            at = bisect.bisect_left(self._wanting, chunk)
            if self._wanting[at : at + 1] != [chunk]:
                self._wanting.insert(at, chunk)
        else:
            self._unwant(chunk)

    def _unwant(self, chunk: int) -> None:
        at = bisect.bisect_left(self._wanting, chunk)
        if self._wanting[at : at + 1] == [chunk]:
            del self._wanting[at]
