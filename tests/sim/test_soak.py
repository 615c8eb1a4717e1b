"""Nodes come and go; `python -m tests.sim.soak` does it for a day."""

import pytest

from tests.sim.measure import most_failing
from tests.sim.scenarios import settled
from tests.sim.soak import Soak, growth


def test_the_bound_of_what_was_not_seen_is_that_of_clopper_and_pearson() -> None:
    """Against scipy.stats.beta.ppf(0.95, failed + 1, count - failed)."""
    assert most_failing(3000, 0) == pytest.approx(0.000998078, rel=1e-4)
    assert most_failing(100, 3) == pytest.approx(0.0757, abs=1e-3)


@pytest.mark.usefixtures("seeded")
def test_m2_records_outlive_hours_of_churn_and_nothing_piles_up() -> None:
    """Half the nodes go each hour; what holders put again is found, and objects stay as many."""
    world, _ = settled(7, 30)
    before = set(world.living)
    soak = Soak(world, held=20, again=1200)  # often, so that some are
    first, second = soak.hours(2, lookups=20)
    gone = before.difference(world.living)
    assert len(gone) > len(before) // 4
    assert second.nodes == len(before)
    assert first.measured.found == second.measured.found == 1.0
    assert second.objects < 1.1 * first.objects
    assert second.files == first.files
    assert [*soak.errors, *world.failures] == []
    world.stop()


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
@pytest.mark.usefixtures("seeded")
def test_m2_a_thousand_nodes_live_through_a_day() -> None:
    """Of records put again by their holders 99.9 % are found, and nothing piles up."""
    world, _ = settled(7, 1000)
    soak = Soak(world, held=200)
    hours = list(soak.hours(24, lookups=250))
    lost = sum(round(hour.measured.lookups * (1 - hour.measured.found)) for hour in hours)
    assert lost <= sum(hour.measured.lookups for hour in hours) // 1000
    assert growth(hours, "objects") < 0.1  # they may become fewer, as the network calms down
    assert growth(hours, "memory") < 0.1
    assert growth(hours, "files") == 0.0
    assert [*soak.errors, *world.failures] == []
    world.stop()
