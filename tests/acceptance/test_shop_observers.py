"""What each observer learns of a shop, found by an analyst in all that observers hold."""

from pathlib import Path

import attrs
import pytest

from tests.acceptance.cli_net import CliLocalnet
from tests.observers.shop_analyst import BEGIN, END, OBSERVERS, about, analyse_shop, shop_table
from tests.observers.shop_links import ShopKind
from tests.observers.shop_run import ITEMS, ShopRun
from tests.observers.shop_surface import peculiarities
from tests.observers.shop_views import ShopView
from tests.observers.sweeps import read_sweeps
from tests.observers.tap import RpcTap

pytestmark = [pytest.mark.tor, pytest.mark.slow, pytest.mark.timeout(600)]

MODEL = Path(__file__).parents[2] / "THREAT-MODEL.md"


@attrs.frozen
class Seen:
    """What the run gave.

    Attributes:
        view: of everybody but shop and payers.
        invoices: that were paid and swept.
    """

    view: ShopView
    invoices: tuple[bytes, ...]


@pytest.fixture(scope="module")
def seen(net: CliLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Two items, three people who pay, one who looks around."""
    net.revive()
    folder = tmp_path_factory.mktemp("shop-observers")
    with RpcTap(net.directory / "chain", folder) as tap, ShopRun(net, tap, folder) as run:
        run.buy()
        run.browse()
        return Seen(run.observe(), tuple(run.invoices))


def test_no_observer_ties_shop_to_node_or_invoice_to_invoice(seen: Seen) -> None:
    """Visitor, counter of traffic, RPC server, relays and all nodes, each and together."""
    for observer in OBSERVERS:
        found = analyse_shop(observer.view(seen.view))
        assert about(found, seen.view.onion, seen.invoices) == (), observer.name


def test_no_answer_tells_software_or_hour(seen: Seen) -> None:
    """Of all pages, pictures, redirects and refusals, to the byte."""
    assert len(seen.view.answers) > 40
    assert peculiarities(seen.view.answers) == frozenset()


def test_the_analyst_had_something_to_look_at(seen: Seen) -> None:
    """Sweeps, circuits of their own, traffic on both sides, keys of everybody."""
    swept = [each.invoice for each in read_sweeps(seen.view.world)]
    assert {*seen.invoices} <= {*swept}
    assert len(seen.invoices) == len(ITEMS)
    asked = [each for each in seen.view.world.questions if each.method == "eth_getBalance"]
    assert len(asked) >= len(ITEMS)
    assert len(seen.view.traffic.seconds) >= 30
    for peer in seen.view.peers:
        assert len(peer.marks) >= 3
    assert all(work.creator_marks for work in seen.view.world.works)


def test_the_same_analyst_finds_what_is_planted_in_this_run(seen: Seen) -> None:
    """The node's card in one page; one circuit for two invoices."""
    keeper = seen.view.peers[-1]
    page = attrs.evolve(seen.view.answers[0], body=b"x" + keeper.marks[1].hex().encode())
    planted = attrs.evolve(seen.view, answers=(page, *seen.view.answers))
    (link,) = about(analyse_shop(planted), planted.onion, ())
    assert (link.kind, link.right) == (ShopKind.NODE, keeper.name)
    questions = tuple(attrs.evolve(q, circuit="one") for q in seen.view.world.questions)
    world = attrs.evolve(seen.view.world, questions=questions)
    links = about(analyse_shop(attrs.evolve(seen.view, world=world)), b"", seen.invoices)
    assert {link.kind for link in links} == {ShopKind.TOGETHER}


def test_the_table_of_observers_of_shops_is_what_was_found(seen: Seen) -> None:
    """The threat model shows the analyst's own table."""
    table = shop_table(seen.view, seen.invoices)
    print(table)
    assert MODEL.read_text().split(BEGIN)[1].split(END)[0].strip() == table.strip()
