"""All requests of the peer protocol, version 1."""

from typing import Final

from bitsnode.wire.market_messages import AskChallenge, PutKeyShare, RequestKey
from bitsnode.wire.messages import (
    Allocate,
    AskTerms,
    AttachRecords,
    Commit,
    FindNode,
    FindValue,
    Ping,
    PutData,
    PutRecord,
    ReadShare,
    Request,
)
from bitsnode.wire.relay_messages import AskRelay, SubmitRedeem, SubmitSweep
from bitsnode.wire.warm_messages import AskIndex, PullRecords, Seek

REQUESTS: Final[tuple[type[Request], ...]] = (
    Ping,
    FindNode,
    FindValue,
    PutRecord,
    AskTerms,
    Allocate,
    PutData,
    Commit,
    AttachRecords,
    ReadShare,
    PutKeyShare,
    AskChallenge,
    RequestKey,
    AskRelay,
    SubmitRedeem,
    SubmitSweep,
    Seek,
    AskIndex,
    PullRecords,
)
