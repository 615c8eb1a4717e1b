"""The purchase: which fact may follow which, and what is to be done next. Pure.

    Quoted ─ Reserved ─ Proved ─ Submitted ─ Redeemed ─ Final ─ Opened
                                     └───<─────┘ (a reorganisation)

From each state before Redeemed, and from there when the payment vanished for good, it may fail:
then the voucher is given back. After that of the deadline, only what the chain says can fail it,
for what was sent once may land until then. From Final on it can only succeed, or show that the
publisher cheated.

Every input is a fact that was written down before; the answer is what to do next. Feeding the
facts of a journal to a new machine is how a purchase is taken up again.
"""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final, Protocol

import attrs
from automat import TypeMachineBuilder

from bitsnode.ledger.redemption import Spend
from bitsnode.market.offer import SignedOffer
from bitsnode.market.purchase_facts import (
    Cheated,
    Dropped,
    Fact,
    Failed,
    Lied,
    Opened,
    Proved,
    Quoted,
    Released,
    Reserved,
    Seen,
    Sent,
    Settled,
    ShareCame,
)


class Step(Enum):
    """What is to be done next."""

    RESERVE = "reserve a voucher, and ask the buyer"
    PROVE = "make the proof"
    SUBMIT = "choose who submits it"
    WATCH = "submit it, and watch the chain"
    CONFIRM = "wait until the block is final"
    COLLECT = "ask the key holders"
    RELEASE = "give the voucher back"
    DONE = "nothing"


@attrs.define
class Story:
    """All that is known of one purchase, put together from its facts.

    Attributes:
        offer: what is bought.
        quoted, reserved, spends, sightings, …: as the facts of these names say.
        sent: each attempt to submit it, the last one last.
        shares: of the key, by index.
        liars: indexes of the holders that lied.
    """

    offer: SignedOffer | None = None
    quoted: Quoted | None = None
    reserved: Reserved | None = None
    spends: tuple[Spend, ...] = ()
    sent: list[Sent] = attrs.Factory(list)
    seen: Seen | None = None
    settled: Settled | None = None
    shares: dict[int, bytes] = attrs.field(factory=dict, repr=False)
    liars: list[int] = attrs.Factory(list)
    opened: Opened | None = None
    failed: Failed | None = None
    cheated: Cheated | None = None

    @property
    def signed(self) -> SignedOffer:
        """The offer; every purchase begins with one."""
        if self.offer is None:
            raise RuntimeError("this purchase has not begun")
        return self.offer

    @property
    def agreed(self) -> Reserved:
        """What was drawn when the buyer said yes."""
        if self.reserved is None:
            raise RuntimeError("this purchase has no voucher")
        return self.reserved

    @property
    def known(self) -> bool:
        """Whether it is known how it ends."""
        return bool(self.opened or self.failed or self.cheated)


class Inputs(Protocol):
    """One input for each kind of fact."""

    def quoted(self, fact: Quoted) -> Step:
        """An offer was verified."""

    def reserved(self, fact: Reserved) -> Step:
        """The buyer said yes and has a voucher."""

    def proved(self, fact: Proved) -> Step:
        """The proof is there."""

    def sent(self, fact: Sent) -> Step:
        """It is about to be submitted."""

    def seen(self, fact: Seen) -> Step:
        """It is in a block."""

    def dropped(self, fact: Dropped) -> Step:
        """It is in none any more."""

    def settled(self, fact: Settled) -> Step:
        """It is in a final block."""

    def share_came(self, fact: ShareCame) -> Step:
        """A key share is there."""

    def lied(self, fact: Lied) -> Step:
        """A key holder lied."""

    def opened(self, fact: Opened) -> Step:
        """The key is there."""

    def failed(self, fact: Failed) -> Step:
        """Nothing was paid, nor will be."""

    def released(self, fact: Released) -> Step:
        """The voucher is free again."""

    def cheated(self, fact: Cheated) -> Step:
        """The publisher's key is not the content's."""


class _Keep(Protocol):
    def __call__(self, machine: Inputs, story: Story, /, fact: Any) -> Step: ...


def _keep(step: Step) -> _Keep:
    def keep(_machine: Inputs, story: Story, /, fact: Any) -> Step:
        _remember(story, fact)
        return step

    return keep


def _remember(story: Story, fact: Fact) -> None:
    match fact:
        case Quoted():
            story.quoted, story.offer = fact, SignedOffer.parse(fact.offer)
        case Reserved():
            story.reserved = fact
        case Proved():
            story.spends = tuple(Spend.decode(each) for each in fact.spends)
        case Sent():
            story.sent.append(fact)
        case Seen():
            story.seen = fact
        case Dropped():
            story.seen = None
        case Settled():
            story.settled = fact
        case ShareCame():
            story.shares[fact.index] = fact.share
        case Lied():
            story.liars.append(fact.index)
        case Opened():
            story.opened = fact
        case Failed():
            story.failed = fact
        case Cheated():
            story.cheated = fact


def _build() -> Callable[[Story], Inputs]:
    builder: TypeMachineBuilder[Inputs, Story] = TypeMachineBuilder(Inputs, Story)
    cold = builder.state("Cold")
    quoted = builder.state("Quoted")
    reserved = builder.state("Reserved")
    proved = builder.state("Proved")
    submitted = builder.state("Submitted")
    redeemed = builder.state("Redeemed")
    final = builder.state("Final")
    opened = builder.state("Opened")
    failed = builder.state("Failed")
    closed = builder.state("Closed")

    cold.upon(Inputs.quoted).to(quoted)(_keep(Step.RESERVE))
    quoted.upon(Inputs.reserved).to(reserved)(_keep(Step.PROVE))
    reserved.upon(Inputs.proved).to(proved)(_keep(Step.SUBMIT))
    proved.upon(Inputs.sent).to(submitted)(_keep(Step.WATCH))
    submitted.upon(Inputs.sent).loop()(_keep(Step.WATCH))
    submitted.upon(Inputs.seen).to(redeemed)(_keep(Step.CONFIRM))
    submitted.upon(Inputs.settled).to(final)(_keep(Step.COLLECT))
    redeemed.upon(Inputs.seen).loop()(_keep(Step.CONFIRM))
    redeemed.upon(Inputs.dropped).to(submitted)(_keep(Step.WATCH))
    redeemed.upon(Inputs.settled).to(final)(_keep(Step.COLLECT))
    final.upon(Inputs.share_came).loop()(_keep(Step.COLLECT))
    final.upon(Inputs.lied).loop()(_keep(Step.COLLECT))
    final.upon(Inputs.opened).to(opened)(_keep(Step.DONE))
    final.upon(Inputs.cheated).to(closed)(_keep(Step.DONE))
    for state in (quoted, reserved, proved, submitted, redeemed):
        state.upon(Inputs.failed).to(failed)(_keep(Step.RELEASE))
    failed.upon(Inputs.released).to(closed)(_keep(Step.DONE))
    return builder.build()


_MACHINE: Final = _build()


class Purchase:
    """One purchase as far as it is written down.

    Attributes:
        story: what is known of it.
        step: what is to be done next.
    """

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self.story = Story()
        self.step = Step.DONE
        self._machine = _MACHINE(self.story)
        for fact in facts:
            self.feed(fact)

    def feed(self, fact: Fact) -> None:
        """Go on with a fact that was written down.

        Raises:
            automat.NoTransition: it cannot follow; a bug, or a journal that is not ours.
        """
        machine = self._machine
        match fact:
            case Quoted():
                self.step = machine.quoted(fact)
            case Reserved():
                self.step = machine.reserved(fact)
            case Proved():
                self.step = machine.proved(fact)
            case Sent():
                self.step = machine.sent(fact)
            case Seen():
                self.step = machine.seen(fact)
            case Dropped():
                self.step = machine.dropped(fact)
            case Settled():
                self.step = machine.settled(fact)
            case ShareCame():
                self.step = machine.share_came(fact)
            case Lied():
                self.step = machine.lied(fact)
            case Opened():
                self.step = machine.opened(fact)
            case Failed():
                self.step = machine.failed(fact)
            case Released():
                self.step = machine.released(fact)
            case Cheated():
                self.step = machine.cheated(fact)
