"""What can be wrong with a wallet or with what is asked of it: one class per failure."""

from bitsnode.errors import BitsError


class WalletError(BitsError):
    """The wallet cannot do this."""


# The keystore


class NoWallet(WalletError):
    """There is no wallet here yet: make one with wallet create, or restore one from its words."""


class WalletExists(WalletError):
    """There is a wallet here already, and it is not overwritten."""


class OtherWallet(WalletError):
    """These are the words of another wallet than the one here, which is not overwritten."""


class WrongPassword(WalletError):
    """The password is wrong, or the keystore is damaged."""


class PasswordTooShort(WalletError):
    """The password must have at least 8 characters."""


class PasswordTooLong(WalletError):
    """The password must have at most 1,024 bytes."""


class KeystoreDamaged(WalletError):
    """The keystore is damaged: move the file away and restore the wallet from its words."""


class KeystoreTooNew(WalletError):
    """The keystore was written by a newer version of bits: update bits to use it."""


class KeystoreOpen(WalletError):
    """The keystore can be read by other users: make it private with chmod 600."""


class KeystoreUnusable(WalletError):
    """The keystore cannot be read or written: check the permissions and the space of its disk."""


class InvalidMnemonic(WalletError):
    """These are not the words of a wallet: one is misspelt, missing, or in the wrong place."""


class WalletLocked(WalletError):
    """The wallet is locked: give its password first."""


# The history


class HistoryOfAnotherWallet(WalletError):
    """The history here is of another wallet: move the file away and it is found again."""


# Withdrawing


class NoChain(WalletError):
    """No chain is set, so there are no balances and nothing can be sent: set an RPC first."""


class InvalidDestination(WalletError):
    """This is not an address that money can be sent to, or a letter of it is mistyped."""


class DestinationOwn(WalletError):
    """This address belongs to this wallet: sending there would link what must stay apart."""


class DestinationFunded(WalletError):
    """This address has paid into this wallet: withdrawing to it would show who you are."""


class DestinationRegistered(WalletError):
    """This address has a public role on the chain: withdrawing to it would show who you are."""


class DestinationReused(WalletError):
    """Something was withdrawn to this address before, and once more would link the two."""


class MergeRefused(WalletError):
    """Several payments to one address become linked to each other: accept it, or pick one."""


class SplitRefused(WalletError):
    """What is left of a payment stays linked to this withdrawal: accept it, or take all of it."""


class NothingToWithdraw(WalletError):
    """There is nothing to withdraw that would cover its own fee."""


class BalanceTooLow(WalletError):
    """No single payment covers this sum and its fee."""


class UnknownSource(WalletError):
    """This wallet has no account or payment with this address."""


class WithdrawalFailed(WalletError):
    """The withdrawal was refused by the chain: the money is where it was, less the fee."""


# Vouchers


class TopUpTooSmall(WalletError):
    """This pays for no set of vouchers that other wallets buy, too: top up with more."""


class UnknownDenomination(WalletError):
    """There are no vouchers of this denomination."""


class DepositFailed(WalletError):
    """The chain refused the deposit of a voucher: nothing was paid but the fee."""


class NoVoucher(WalletError):
    """There is no free voucher of this denomination: top up first."""


class VoucherTooYoung(WalletError):
    """The vouchers of this denomination were bought just now: they can be spent a little later."""


class TicketUnknown(WalletError):
    """This voucher is not reserved any more."""


class VoucherHandedOut(WalletError):
    """A payment with this voucher is on its way: it is free again when its time has passed."""


class RedemptionFailed(WalletError):
    """The chain refused this payment: the voucher is as it was, and only the fee is lost."""


class SelfRelayLinks(WalletError):
    """Sending this from an own account would show who spends the voucher: accept it, or relay."""
