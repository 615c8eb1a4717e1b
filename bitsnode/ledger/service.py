"""The chain as the rooms above use it: reads, certain reads, events and transactions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import attrs
from eth_hash.auto import keccak
from twisted.internet.defer import Deferred, gatherResults

from bitsnode.ledger import answers, errors
from bitsnode.ledger.agreement import Agreement, Tag
from bitsnode.ledger.contracts import for_web3, interface
from bitsnode.ledger.deployment import Deployment, ForeignDeployment
from bitsnode.ledger.fallback import first_answer
from bitsnode.ledger.fees import Fee
from bitsnode.ledger.imports import tamed_imports
from bitsnode.ledger.index import LogIndex, OnProgress
from bitsnode.ledger.index_store import Reach
from bitsnode.ledger.journal import Journal
from bitsnode.ledger.jsonrpc import Request
from bitsnode.ledger.ranges import read_tag
from bitsnode.ledger.rounds import Rounds
from bitsnode.ledger.rpc import Asker, Rpc, RpcEndpoint, RpcLimits
from bitsnode.ledger.standing import Call
from bitsnode.ledger.transactions import InThread, Mined, Sent, Signer, Transactions
from onion.http import HttpClient
from onion.isolation import Isolation

if TYPE_CHECKING:
    from web3 import Web3

T = TypeVar("T")
Block = int | Literal["latest", "safe", "finalized"]


@attrs.frozen
class RpcHealth:
    """How one RPC server does.

    Attributes:
        name: its host.
        own: it is one's own.
        latest: number of its newest block, None if there is a problem.
        final: number of its newest final block, None if there is a problem.
        problem: one sentence; "" if there is none.
    """

    name: str
    own: bool
    latest: int | None
    final: int | None
    problem: str = ""


class Ledger:
    """One chain with a deployment of our contracts, behind one RPC server or several.

    Plain reads are answered by one's own server if there is one, else by the first that answers.
    What releases value or keys has to be read with `agreed`.

    Attributes:
        deployment: where the contracts are.
        index: all their events.
    """

    def __init__(
        self,
        reactor: Any,
        rpcs: Sequence[Rpc],
        deployment: Deployment,
        directory: Path,
        in_thread: InThread,
    ) -> None:
        """Open the files in `directory`, or make them.

        Args:
            reactor: measures time.
            rpcs: servers, at least one.
            deployment: where the contracts are.
            directory: for the index and the journal.
            in_thread: runs what waits for the disk.

        Raises:
            NoRpc: no server is given.
            LedgerError: a file cannot be used; one class per cause.
        """
        self._reactor = reactor
        self._rounds: Rounds | None = None
        self._rpcs = sorted(rpcs, key=lambda rpc: not rpc.endpoint.own)
        self._agreement = Agreement(reactor, self._rpcs)
        self._in_thread = in_thread
        self.deployment = deployment
        self.index = LogIndex(directory / "index.db", deployment, self._rpcs)
        chain_id = deployment.chain_id
        self._journal = Journal(directory / "journal.db", chain_id)
        self._transactions = Transactions(reactor, self._rpcs, self._journal, chain_id, in_thread)

    @classmethod
    def through(
        cls,
        reactor: Any,
        http: HttpClient,
        endpoints: Sequence[RpcEndpoint],
        deployment: Deployment,
        directory: Path,
        in_thread: InThread,
        limits: RpcLimits | None = None,
    ) -> Ledger:
        """A ledger that asks its servers through tor; raises what making one raises."""
        chain_id = deployment.chain_id
        rpcs = [Rpc.through(reactor, http, each, chain_id, limits) for each in endpoints]
        return cls(reactor, rpcs, deployment, directory, in_thread)

    async def stop(self) -> None:
        """End all questions, and close the files."""
        if self._rounds is not None:
            self._rounds.stop()
        await gatherResults([Deferred.fromCoroutine(rpc.stop()) for rpc in self._rpcs])
        self.index.close()
        self._journal.close()

    # Reading

    async def balance(self, address: str, isolation: Isolation) -> int:
        """Wei of an account now, as one server has it.

        Raises:
            RpcError: no server can be asked.
        """

        def ask(asker: Asker) -> int:
            return answers.quantity(asker.ask("eth_getBalance", address, "latest"))

        return await self._read(ask, isolation)

    async def block_number(
        self, tag: Literal["latest", "safe", "finalized"], isolation: Isolation
    ) -> int:
        """The number of the newest block, or the newest that is safe or final.

        Raises:
            RpcError: no server can be asked.
        """
        return await self._read(lambda asker: read_tag(asker, tag).number, isolation)

    async def call(
        self,
        contract: str,
        function: str,
        args: Sequence[Any],
        isolation: Isolation,
        block: Block = "latest",
    ) -> Any:
        """What a view of a contract of the deployment returns, as one server has it.

        Raises:
            RpcRefused: the contract refuses; the data of the revert is in it.
            RpcError: no server can be asked.
        """

        def ask(web3: Web3) -> Any:
            return self._function(web3, contract, function, args).call(block_identifier=block)

        return await first_answer(self._rpcs, lambda rpc: rpc.run(ask, isolation))

    async def encode(self, contract: str, function: str, args: Sequence[Any]) -> bytes:
        """The data of a transaction that calls a contract of the deployment."""

        def encoded() -> bytes:
            with tamed_imports():
                from bitsnode.ledger.provider import encode_call

            return encode_call(
                self.deployment.address(contract), interface(contract), function, for_web3(args)
            )

        return await self._in_thread(encoded)

    def check_certainty(self) -> None:
        """See that `agreed` can work with the servers that are set.

        Raises:
            TooFewRpcs: there is one, which is not one's own.
        """
        self._agreement.check()

    async def agreed(
        self, call: Callable[[Web3, int], T], isolation: Isolation, tag: Tag = "finalized"
    ) -> T:
        """See `Agreement.agreed`: the way to read what releases value or keys."""
        return await self._agreement.agreed(call, isolation, tag)

    async def examine(self, isolation: Isolation) -> list[RpcHealth]:
        """How each server does, all asked at the same time."""

        async def one(rpc: Rpc) -> RpcHealth:
            own = rpc.endpoint.own
            try:
                latest = await rpc.head(isolation)
                final = await rpc.read(lambda asker: read_tag(asker, "finalized"), isolation)
            except errors.RpcError as error:
                return RpcHealth(rpc.name, own, None, None, str(error))
            return RpcHealth(rpc.name, own, latest.number, final.number)

        return await gatherResults([Deferred.fromCoroutine(one(rpc)) for rpc in self._rpcs])

    async def check_deployment(self, isolation: Isolation) -> None:
        """See that the contracts on the chain are those of the deployment file.

        Raises:
            ForeignDeployment: one is another, or is not there.
            RpcError: no server can be asked.
        """
        contracts = self.deployment.contracts

        def ask(asker: Asker) -> list[Any]:
            codes = [Request("eth_getCode", [c.address, "latest"]) for c in contracts.values()]
            return [answers.data(code) for code in asker.batch(codes)]

        codes = await self._read(ask, isolation)
        for (name, contract), code in zip(contracts.items(), codes, strict=True):
            if "0x" + keccak(code).hex() != contract.code_hash:
                raise ForeignDeployment(
                    f"The contract {name} at {contract.address} is not the one of the"
                    " deployment file; get the file anew, or check the RPC server."
                )

    async def sync(
        self, isolation: Isolation, on_progress: OnProgress = lambda _reach, _head: None
    ) -> Reach:
        """Bring the index up to date; see `LogIndex.sync`.

        After `follow` it waits for the next round, and asks nothing for anybody.
        """
        if self._rounds is not None:
            return await self._rounds.next(on_progress)
        return await self.index.sync(isolation, on_progress)

    @property
    def follows(self) -> bool:
        """Whether events are read by the clock alone; see `follow`."""
        return self._rounds is not None

    def follow(self, isolation: Isolation, pause: float) -> None:
        """Read events by the clock alone, every so many seconds, from now on; see `Rounds`.

        Nothing is done if all servers are one's own, which may know when one does what; nor when
        it is called again.
        """
        if self._rounds is None and not all(rpc.endpoint.own for rpc in self._rpcs):
            self._rounds = Rounds(
                self._reactor, pause, lambda tell: self.index.sync(isolation, tell)
            )
            self._rounds.start()

    # Transactions

    async def quote(self, source: str, call: Call, isolation: Isolation) -> Fee:
        """See `Transactions.quote`."""
        return await self._transactions.quote(source, call, isolation)

    async def send(
        self, signer: Signer, intent: str, call: Call, isolation: Isolation, fee_limit: int
    ) -> Sent:
        """See `Transactions.send`."""
        return await self._transactions.send(signer, intent, call, isolation, fee_limit)

    async def transfer_fee(self, source: str, to: str, isolation: Isolation) -> int:
        """The most wei that a plain transfer costs, with room for rising fees.

        Raises:
            RpcError: no server can be asked.
        """
        return (await self.quote(source, Call(to), isolation)).most

    async def transfer(
        self,
        signer: Signer,
        to: str,
        value: int,
        isolation: Isolation,
        fee_limit: int,
        intent: str,
    ) -> str:
        """Send a plain transfer, see `Transactions.send`; returns its hash."""
        sent = await self.send(signer, intent, Call(to, value), isolation, fee_limit)
        return sent.transaction_hash

    async def knows(self, intent: str) -> bool:
        """Whether anything was ever signed for an intent."""
        return await self._transactions.knows(intent)

    async def wait(self, intent: str, isolation: Isolation, timeout: float = 600.0) -> Mined:
        """See `Transactions.wait`."""
        return await self._transactions.wait(intent, isolation, timeout)

    async def look_after(self, isolation_of: Callable[[str], Isolation | None]) -> None:
        """Send again what is in the journal and not in the chain; call it every minute or so.

        Args:
            isolation_of: of an account (lower-case hex); None leaves the account alone for now.

        Raises:
            RpcError: no server can be asked.
        """
        for account in await self._transactions.accounts():
            isolation = isolation_of(account)
            if isolation is not None:
                await self._transactions.look_after_account(account, isolation)

    def _function(self, web3: Web3, contract: str, function: str, args: Sequence[Any]) -> Any:
        address: Any = self.deployment.address(contract)
        return web3.eth.contract(address=address, abi=interface(contract)).functions[function](
            *args
        )

    def _read(self, work: Callable[[Asker], T], isolation: Isolation) -> Awaitable[T]:
        return first_answer(self._rpcs, lambda rpc: rpc.read(work, isolation))
