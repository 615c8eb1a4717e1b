"""What a private Tor network says while it boots."""

from collections.abc import Callable
from enum import Enum

from attrs import frozen


class Stage(Enum):
    """The steps of a boot, in their order; the value is the sentence a person sees."""

    KEYS = "making the directory authority's keys"
    TORS = "starting the relays"
    DESCRIPTORS = "waiting until the authority knows every relay"
    VOTE = "voting on the first consensus"
    RELAYS = "waiting until every relay has the consensus"
    READY = "the private Tor network is ready"


@frozen
class LocalnetProgress:
    """One step of a boot: `done` of `total` parts of a stage, `seconds` after the start."""

    stage: Stage
    done: int
    total: int
    seconds: float

    def __str__(self) -> str:
        parts = f" ({self.done} of {self.total})" if self.total > 1 else ""
        return f"{self.stage.value}{parts}"


OnProgress = Callable[[LocalnetProgress], None]

Tell = Callable[[Stage, int, int], None]
"""How the steps of a boot report: stage, parts done, parts in all."""
