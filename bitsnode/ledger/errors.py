"""What can go wrong between this node and its chain: one class per failure, one sentence each."""

from bitsnode.errors import BitsError


class LedgerError(BitsError):
    """The chain cannot be used."""


class _Detailed(LedgerError):
    def __str__(self) -> str:
        """The sentence, and what was given on raising in brackets behind it."""
        sentence = (type(self).__doc__ or "").splitlines()[0]
        detail = "; ".join(str(arg) for arg in self.args)
        return f"{sentence.removesuffix('.')} ({detail})." if detail else sentence


class NoRpc(LedgerError):
    """No RPC server of a chain is set; set "rpc" or "own_rpc" in config.toml."""


# One RPC server


class RpcError(_Detailed):
    """The RPC server of the chain cannot be used."""


class RpcUnreachable(RpcError):
    """The RPC server of the chain could not be reached."""


class RpcTimedOut(RpcError):
    """The RPC server of the chain did not answer in time."""


class RpcStopped(RpcError):
    """The node is stopping, so the chain is asked no more."""


class RpcHttpStatus(RpcError):
    """The RPC server of the chain refused the request."""


class RpcAnswerInvalid(RpcError):
    """The RPC server of the chain gave an answer that makes no sense."""


class RpcAnswerTooLarge(RpcAnswerInvalid):
    """The RPC server of the chain gave an answer that is too large."""


class WrongChain(RpcError):
    """The RPC server serves another chain than the one of the deployment file."""


class RpcStale(RpcError):
    """The RPC server is behind: its newest block is too old."""


class RpcWentBack(RpcError):
    """The RPC server went back further than a chain may be reorganised."""


class RpcHidesLogs(RpcError):
    """The RPC server left out logs that the header of the block says are there."""


class RpcRefused(RpcError):
    """The RPC server of the chain answered with an error.

    Attributes:
        code: of JSON-RPC.
        message: in the words of the server, at most 300 printable characters.
        data: what came with it, "0x..." for a revert, or None.
    """

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message or f"code {code}")
        self.code = code
        self.message = message
        self.data = data


# Agreement


class AgreementError(_Detailed):
    """What the chain says is not certain enough to release anything."""


class TooFewRpcs(AgreementError):
    """Two RPC servers or one of one's own are needed to be certain of what the chain says."""


class RpcsDisagree(AgreementError):
    """The RPC servers of the chain contradict one another, so nothing is released."""


class NotFinal(AgreementError):
    """The RPC servers know no recent block that is final, so nothing is released."""


# The index


class LogIndexError(_Detailed):
    """The index of the chain's events cannot be used."""


class ChainRewritten(LogIndexError):
    """The chain was rewritten below a block that was final; nothing of it can be trusted."""


class LogsDisagree(LogIndexError):
    """The RPC servers of the chain report different events, so the index waits."""


class LedgerFileDamaged(_Detailed):
    """A database of the chain is damaged; restore it from a backup or remove it."""


class LedgerFileTooNew(_Detailed):
    """A database of the chain was written by a newer version of bits; update bits to use it."""


class LedgerFileForeign(_Detailed):
    """A database of the chain belongs to another chain or deployment."""


# Transactions


class TransactionError(_Detailed):
    """The transaction was not made."""


class InsufficientFunds(TransactionError):
    """The account has too little for this transaction and its fee."""


class FeeTooHigh(TransactionError):
    """The fee that the chain asks for is above the limit, so nothing was signed."""


class WouldRevert(TransactionError):
    """The contract would refuse this transaction, so nothing was signed.

    Attributes:
        data: of the revert, "0x...", or None.
    """

    def __init__(self, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.data = data


class TransactionRefused(TransactionError):
    """The RPC server refused the transaction."""


class TransactionReverted(TransactionError):
    """The transaction is in the chain, but the contract refused it."""


class TransactionReplaced(TransactionError):
    """Another transaction of the account took the place of this one."""


class IntentChanged(TransactionError):
    """A transaction with this intent was signed before, for something else."""


class SignerWrong(TransactionError):
    """The wallet signed something else than it was asked to."""


class NotMined(TransactionError):
    """The transaction is not in the chain yet; it stays in the journal and is looked after."""


# Proofs


class ProverError(_Detailed):
    """No proof was made."""


class CircuitMissing(ProverError):
    """The files of the proof's circuit are missing or wrong; run bin/setup, or reinstall bits."""


class WitnessNotAccepted(ProverError):
    """The voucher does not fit its group, so there is nothing to prove."""


class ProofNotValid(ProverError):
    """The prover made a proof that does not hold; it was thrown away."""


class ProverOutOfMemory(ProverError):
    """Making the proof took more memory than it may have; close other programs and try again."""


class ProverTimedOut(ProverError):
    """Making the proof took too long and was ended; try again."""


class ProverFailed(ProverError):
    """The prover ended before the proof was made; try again."""


class ProverStopped(ProverError):
    """The node is stopping, so no proof is made."""
