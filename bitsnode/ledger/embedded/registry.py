"""How a method of the JSON-RPC is entered into a table of them."""

from collections.abc import Callable
from typing import Any

from attrs import frozen

from bitsnode.ledger.embedded.chain import EmbeddedChain
from bitsnode.ledger.embedded.params import Params

Method = Callable[[EmbeddedChain, Params], Any]


@frozen
class Entry:
    """A method: the greatest number of its arguments, and whether only the socket may call it."""

    run: Method
    most: int
    local: bool


Table = dict[str, Entry]


def enter(
    table: Table, name: str, most: int = 0, *, local: bool = False
) -> Callable[[Method], Method]:
    """Enter the function below into a table.

    Args:
        table: of methods by name.
        name: of the method.
        most: how many arguments it takes at most.
        local: only tools of this machine may call it.
    """

    def enter_it(run: Method) -> Method:
        table[name] = Entry(run, most, local)
        return run

    return enter_it
