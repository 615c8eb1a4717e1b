"""What can be wrong with content: one class per failure."""

from bitsnode.errors import BitsError, RemoteProtocolError


class CodecError(BitsError):
    """The content cannot be encoded or decoded."""


class BadLink(CodecError):
    """This is not a bits link."""


class DamagedBlock(CodecError):
    """A stored block does not match the manifest."""


class DamagedChunk(CodecError):
    """A chunk cannot be decrypted: the link's key does not fit this content."""


class BadManifest(RemoteProtocolError):
    """The manifest of this content is malformed or is not the one that the link names."""


class BadPlacement(RemoteProtocolError):
    """The placement of this content is malformed or not signed by its publisher."""


class UnpaidShare(CodecError):
    """The puzzle of a share is not solved."""
