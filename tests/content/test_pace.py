"""When a block is late, and how much is asked of a holder at once."""

from bitsnode.content.pace import (
    ENOUGH,
    FIRST_HEDGE,
    FIRST_WINDOW,
    LARGEST_WINDOW,
    PATIENT,
    SOONEST_HEDGE,
    Times,
    Window,
)

BLOCK = 256 << 10  # bytes


def usual(seconds: float) -> Times:
    """Times of requests that all took as long."""
    times = Times()
    for _ in range(ENOUGH):
        times.add(seconds)
    return times


def test_a_block_is_late_when_its_holder_is_silent_for_longer_than_usual() -> None:
    """Nothing was heard since it was asked for: a spare holder is asked as soon as it is late."""
    assert usual(2.0).late_at(asked=100.0, heard=90.0) == 102.0
    assert usual(0.1).late_at(asked=100.0, heard=0.0) == 100.0 + SOONEST_HEDGE
    assert Times().late_at(asked=100.0, heard=0.0) == 100.0 + FIRST_HEDGE


def test_a_block_that_waits_in_its_turn_is_not_late() -> None:
    """While the holder gives other blocks, this one is waited for, but not for ever."""
    times = usual(2.0)
    assert times.late_at(asked=100.0, heard=101.5) == 103.5
    assert times.late_at(asked=100.0, heard=105.0) == 100.0 + PATIENT * 2.0


def test_a_window_grows_until_blocks_queue_as_long_as_the_way() -> None:
    """A long way has a large window; on a short one a queue is noticed before it is long."""
    far, near = Window(), Window()
    for _ in range(50):
        far.arrived(BLOCK, 1.5)
        near.arrived(BLOCK, 0.1 + 0.25 * near.size / FIRST_WINDOW)
    assert far.size == LARGEST_WINDOW
    assert FIRST_WINDOW < near.size < LARGEST_WINDOW
