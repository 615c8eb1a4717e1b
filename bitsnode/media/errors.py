"""Why a picture, film or sound could not be prepared: one class per failure, one sentence each."""

from bitsnode.errors import BitsError


class MediaError(BitsError):
    """The file could not be prepared for showing."""


class MediaMissing(MediaError):
    """The file does not exist or cannot be read."""


class UnreadableImage(MediaError):
    """The picture cannot be read: it is damaged, cut short, or none of JPEG, PNG, WebP and GIF."""


class ImageTooLarge(MediaError):
    """The picture is too large to be prepared: at most 64 megapixels and 64 MiB."""


class BadPictureSet(MediaError):
    """This is not a set of pictures as bits packs them."""


class TooManyPictures(MediaError):
    """A set has 1 to 999 pictures and at most 2 GiB."""


class NoMediaExtra(MediaError):
    """Films and sounds need PyAV: install it with 'pip install bitsnode[media]'."""


class UnreadableStream(MediaError):
    """The film or sound cannot be read: it is damaged, cut short, or of a kind we do not know."""


class NotPlayable(MediaError):
    """Browsers cannot play what is in this file."""


class MediaNotWritten(MediaError):
    """The prepared file cannot be written."""
