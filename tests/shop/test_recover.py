"""``shop recover``: whom it asks, and what a person is told."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from click.testing import CliRunner
from twisted.internet.defer import Deferred

from bitsnode.api.app import BadArguments
from bitsnode.cli import remote
from bitsnode.cli.app import cli
from bitsnode.market.invoice_recovery import Found, InvoicesLookedFor, Search, Wanted
from bitsnode.shop_control import ShopControl

ADDRESSES = ["0x" + "11" * 20, "0x" + "22" * 20]
FOUND = (Found(ADDRESSES[0], 10**16, 10**16), Found(ADDRESSES[1], 5 * 10**16, 0))


@attrs.define
class Shop:
    """A shop whose search finds something.

    Attributes:
        own_chain: all servers are one's own.
        wanted: what was searched.
    """

    own_chain: bool = False
    wanted: list[Wanted] = attrs.Factory(list)

    async def recover(self, wanted: Wanted, on_event: Callable[[Any], None]) -> Search:
        """See `bitsnode.shop_access.ShopAccess`."""
        self.wanted.append(wanted)
        on_event(InvoicesLookedFor(50, 0, 2))
        return Search(FOUND, 7 if wanted.ask else 0)


def recover(shop: Shop, **arguments: object) -> tuple[dict[str, Any], list[Any]]:
    """Carry the command out; its answer and its progress."""
    control: Any = ShopControl(shop, SimpleNamespace)  # type: ignore[arg-type]
    reported: list[Any] = []
    results: list[Any] = []
    coroutine = control.commands()["shop-recover"](arguments, reported.append)
    Deferred.fromCoroutine(coroutine).addBoth(results.append)
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0], reported


def test_servers_of_others_are_asked_only_if_that_is_said() -> None:
    """Sweeps are looked at in any case; one's own servers are asked for everything."""
    shop = Shop()
    done, reported = recover(shop)
    assert (done["balances"], done["asked"]) == (False, 0)
    assert reported == [{"event": "invoices_looked_for", "done": 50, "asked": 0, "found": 2}]
    recover(shop, ask=True, gap=7)
    recover(shop, ask=True, all_fees=True)
    shop.own_chain = True
    done, _reported = recover(shop)
    assert (done["balances"], done["own"]) == (True, True)
    assert shop.wanted == [
        Wanted(ask=False, all_fees=False, own=False, gap=100),
        Wanted(ask=True, all_fees=False, own=False, gap=7),
        Wanted(ask=True, all_fees=True, own=False, gap=100),
        Wanted(ask=True, all_fees=True, own=True, gap=100),
    ]


@pytest.mark.parametrize("gap", [0, -1, 10_001, "5", True, 1.5, None])
def test_a_gap_that_is_none_is_refused(gap: object) -> None:
    """Before anything is searched."""
    shop = Shop()
    with pytest.raises(BadArguments):
        recover(shop, gap=gap)
    assert shop.wanted == []


@pytest.mark.parametrize("ask", [False, True])
def test_a_person_is_told_what_was_found_and_what_asking_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: bool
) -> None:
    """That the content is unknown, which sums were swept, and what a server would learn."""
    asked: list[Any] = []

    def call(_home: Path, command: str, arguments: Any, on_event: Callable[[Any], None]) -> Any:
        asked.append((command, arguments))
        done, reported = recover(Shop(), **arguments)
        for event in reported:
            on_event(event)
        return done

    monkeypatch.setattr(remote, "call", call)
    command = ["--home", str(tmp_path), "shop", "recover"]
    told = CliRunner().invoke(cli, command + ["--ask-servers"] * ask)
    assert told.exit_code == 0, told.output
    assert asked == [("shop-recover", {"ask": ask, "all_fees": False, "gap": 100})]
    assert f"{ADDRESSES[0]}  0.01 coins, swept  (content unknown)" in told.output
    assert f"{ADDRESSES[1]}  0.05 coins, to be swept  (content unknown)" in told.output
    assert ("--ask-servers" in told.output, "7 balances" in told.output) == (not ask, ask)
    shown = CliRunner().invoke(cli, [*command, "--json"])
    assert json.loads(shown.stdout.splitlines()[-1])["found"][0]["swept"] == 10**16
