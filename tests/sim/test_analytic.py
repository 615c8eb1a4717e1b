"""The model's formulas against small direct simulations, and the goals it is for."""

import random
import statistics

import attrs
import pytest

from tests.sim.analytic import GOAL_BLACKHOLES, GOAL_SECONDS, GOAL_UPKEEP, model
from tests.sim.analytic_ask import Asker, draw, record_percentile
from tests.sim.analytic_plan import (
    BULK,
    ID_BYTES,
    RECORD_BYTES,
    RECORD_LIFE,
    SESSION_MEAN,
    Network,
    Plan,
    dead_share,
    link_life,
    supply,
)
from tests.sim.analytic_upkeep import index_bytes, upkeep
from tests.sim.models import SESSION_SCALE, SESSION_SHAPE, Times

QUESTIONS = 5_000
SLOTS = 20_000  # links that are followed from their beginning to their end


def _left(draws: random.Random) -> float:
    """Draw how long a node drawn from the living stays: part of a session drawn by its length."""
    length: float = SESSION_SCALE * draws.gammavariate(1 + 1 / SESSION_SHAPE, 1.0) ** (
        1 / SESSION_SHAPE
    )
    return length * draws.random()


def test_links_live_and_are_dead_as_the_formulas_say() -> None:
    """Links followed one by one, with their pings, agree with mean life and share of the dead."""
    plan, draws = Plan(), random.Random(1)
    lives, lost = [], []
    for _ in range(SLOTS):
        kept, left = draws.uniform(plan.shortest, plan.longest), _left(draws)
        lives.append(min(kept, left))
        if left < kept:
            ping = draws.uniform(0, plan.ping)  # the first after it was gone
            lost.append(ping + plan.ping_limit + plan.redial)
    assert statistics.fmean(lives) == pytest.approx(link_life(plan), rel=0.02)
    assert sum(lost) / (sum(lives) + sum(lost)) == pytest.approx(dead_share(plan), rel=0.05)


def test_candidates_of_a_walk_last_as_the_formula_says() -> None:
    """Of twenty nodes that a walk found, those left after the computed time are what links need."""
    plan, draws = Plan(), random.Random(2)
    after = supply(plan)
    left = [sum(_left(draws) > after for _ in range(plan.known)) for _ in range(2_000)]
    assert statistics.fmean(left) == pytest.approx(plan.links + 1, rel=0.05)


@pytest.mark.parametrize(
    "network",
    [Network(), Network(sybils=0.1), Network(sybils=0.3), Network(sybils=0.1, blackholes=0.1)],
)
def test_first_records_come_as_the_formula_says(network: Network) -> None:
    """Questions drawn one by one see their first record when the closed form says so."""
    plan = attrs.evolve(Plan(), grace=0.0, patience=60.0)
    times = sorted(answer.seconds for answer in draw(plan, network, QUESTIONS, 3))
    for share in (0.5, 0.9):
        drawn = times[int(QUESTIONS * share)]
        assert drawn == pytest.approx(record_percentile(plan, network, share), rel=0.04)


def test_newcomers_cost_what_their_sessions_say() -> None:
    """Sessions drawn one by one take in the bytes per second that the formula says."""
    plan, network, draws = Plan(), Network(), random.Random(4)
    times, index = Times(draws), index_bytes(plan, network)
    taken = lasted = 0.0
    for _ in range(100_000):
        session = times.session()
        lasted += session
        if draws.random() >= network.newborn:
            share = network.absence / RECORD_LIFE
            taken += index / RECORD_BYTES * ID_BYTES + share * index
        elif session > plan.mature:
            taken += index
    assert lasted / 100_000 == pytest.approx(SESSION_MEAN, rel=0.03)
    given_and_taken = 2 * taken * BULK / lasted * 8 / 1000
    assert given_and_taken == pytest.approx(upkeep(plan, network).newcomers, rel=0.04)


def test_the_goals_hold_at_a_million_nodes() -> None:
    """With a tenth of Sybils p95 is below a second and upkeep below its goal."""
    row = model(Plan(), "", Network(sybils=0.1), QUESTIONS, 5, GOAL_SECONDS)
    assert row.met
    assert row.upkeep.total <= GOAL_UPKEEP


def test_three_links_are_what_blackholes_ask_for() -> None:
    """With 30 % of links blackholed three links to a group hold the goal, and two do not."""
    network = Network(blackholes=0.3)
    three = model(Plan(), "", network, QUESTIONS, 6)
    two = model(attrs.evolve(Plan(), links=2), "", network, QUESTIONS, 6)
    assert three.p95 < GOAL_BLACKHOLES <= two.p95


def test_nodes_that_sybils_name_are_worse_than_drawn_ones() -> None:
    """If a Sybil's word chooses links, more questions miss their group."""
    drawn = model(Plan(), "", Network(sybils=0.3), QUESTIONS, 7)
    named = model(Plan(), "", Network(sybils=0.3, biased=True), QUESTIONS, 7)
    assert named.tiers["warm"] < drawn.tiers["warm"] - 0.05


def test_walks_take_as_long_as_simulated_ones() -> None:
    """The model's plain walk is as slow as the simulator's, whose median was 54 s at 200 nodes."""
    asker = Asker(Plan(), Network(200), random.Random(8))
    assert statistics.median(asker.walk() for _ in range(500)) == pytest.approx(54, rel=0.15)
