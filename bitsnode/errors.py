"""Errors that a person may see: the text of each is one sentence for them."""


class BitsError(Exception):
    """Something went wrong in bits.

    ``str(error)`` is one sentence that says what went wrong and what to do about it;
    the command line prints it as it is.
    """

    def __str__(self) -> str:
        """Return the sentence given, or else the first line of the class's docstring."""
        return super().__str__() or (type(self).__doc__ or "").splitlines()[0]


class LocalProtocolError(BitsError):
    """This node broke the peer protocol: a bug in bits, please report it."""


class RemoteProtocolError(BitsError):
    """The other node broke the peer protocol, so its connection was closed."""
