"""What each observer learns of purchases, found by an analyst in all that observers hold."""

from pathlib import Path

import attrs
import pytest

from tests.acceptance.cli_net import CliLocalnet
from tests.observers.analyst import analyse
from tests.observers.canaries import leaks
from tests.observers.links import Kind
from tests.observers.run import Observed, Run, Sold
from tests.observers.table import BEGIN, END, OBSERVERS, render, rows_of, words_of_direct
from tests.observers.tap import RpcTap
from tests.observers.views import View

pytestmark = [pytest.mark.tor, pytest.mark.timeout(900)]

MODEL = Path(__file__).parents[2] / "THREAT-MODEL.md"
WITHOUT_ASKED = OBSERVERS[:6]


@attrs.frozen
class Seen:
    """What the run gave.

    Attributes:
        observed: purchases with vouchers.
        direct: what is held after a plain transfer besides.
        leaked: secrets in files.
    """

    observed: Observed
    direct: View
    leaked: list[str]


@pytest.fixture(scope="module")
def seen(net: CliLocalnet, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Two buyers, two creators, two purchases; then one of the buyers pays in plain sight."""
    net.revive()
    folder = tmp_path_factory.mktemp("observers")
    with RpcTap(net.directory / "chain", folder) as tap, Run(net, tap, folder) as run:
        run.sell()
        run.top_up()
        run.buy()
        run.earn()
        observed = run.observe()
        direct = run.pay_directly(observed.view)
    homes = [*observed.parties, *(node.home for node in net.nodes), net.directory / "chain"]
    return Seen(observed, direct, list(leaks(homes, observed.canaries)))


def test_no_observer_that_was_not_asked_links_anything(seen: Seen) -> None:
    """Chain, RPC server, relays, storers and other key holders, together: only sum and time."""
    for sold in seen.observed.sold:
        assert sold.asked
        for observer in WITHOUT_ASKED:
            found = analyse(observer.view(seen.observed.view, sold))
            assert found.about(sold.transaction) == (), observer.name
            assert found.about(sold.account) == (), observer.name
            crowd = found.accounts[sold.transaction]
            assert {each.account for each in seen.observed.sold} <= crowd
            assert len(found.contents[sold.transaction]) == 2


def test_key_holders_that_were_asked_learn_the_content_and_not_the_deposit(seen: Seen) -> None:
    """Everybody together, they included, cannot tell who paid."""
    for sold in seen.observed.sold:
        found = analyse(seen.observed.view)
        (content,) = found.of(Kind.CONTENT, sold.transaction)
        assert content.candidates == {sold.content}
        assert found.of(Kind.DEPOSIT, sold.transaction) == ()
        assert found.about(sold.account) == ()


def test_the_same_analyst_links_a_direct_payment(seen: Seen) -> None:
    """Account, creator, content and onion, from the chain and the creator's page alone."""
    account, work = seen.observed.sold[0].account, seen.direct.works[0]
    found = analyse(seen.direct.only())
    (bought,) = found.of(Kind.BOUGHT, account)
    assert bought.candidates == {work.content}
    assert bought.probability == 1


def test_the_table_of_observers_is_what_was_found(seen: Seen) -> None:
    """The threat model shows the analyst's own table."""
    purchases: tuple[Sold, ...] = seen.observed.sold
    rows = rows_of(seen.observed.view, purchases)
    rows.append(words_of_direct(seen.direct, purchases[0].account))
    table = render(rows)
    print(table)
    assert MODEL.read_text().split(BEGIN)[1].split(END)[0].strip() == table.strip()


def test_m1_no_secret_is_in_a_home_or_a_log(seen: Seen) -> None:
    """Passwords, words, keys of contents, vouchers and receipts, and what was sold: in no file."""
    assert len(seen.observed.canaries) >= 10
    assert seen.leaked == []
