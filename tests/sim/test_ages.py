"""Records that nobody puts again."""

import pytest

from tests.sim.ages import ages, ages_without_handover


@pytest.mark.usefixtures("seeded")
def test_what_is_handed_on_has_as_many_copies_after_an_hour_of_churn() -> None:
    """Half of the storers went; without newcomers that are given records half is left."""
    (handed,) = ages(3, 30, 20, 1)
    (kept,) = ages_without_handover(3, 30, 20, 1)
    assert handed.found == kept.found == 1.0
    assert handed.copies > 18
    assert kept.copies < 15
