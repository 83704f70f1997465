"""The tree of public errors: every failure a caller may meet derives from `GazeError`."""


class GazeError(Exception):
    """A failure that the message explains: what happened, to what, and what to do next."""


class PictureError(GazeError):
    """A picture that cannot be opened or read."""


class PictureUnreachableError(PictureError):
    """A picture that cannot be had now, as its server does not answer; it may be had later."""


class PictureSizeError(PictureError):
    """A picture with more pixels than are allowed."""


class PhraseListError(GazeError):
    """A phrase list that is unknown, empty or unreadable."""


class ModelError(GazeError):
    """A model that is unknown, incomplete, altered or unusable."""


class DownloadError(ModelError):
    """Model files that could not be fetched.

    Attributes:
        what: what happened.
        more: what can be done, each by itself, and details; the message has all in one line.

    """

    def __init__(self, what: str, *more: str) -> None:
        """Make one line of what happened and of what can be done."""
        super().__init__("; ".join([what, *more]))
        self.what, self.more = what, more


class StorageError(GazeError):
    """A folder, bucket or file that cannot be read or written.

    Attributes:
        lasting: whether to ask again would not help.

    """

    lasting = False


class BrokenOffError(GazeError):
    """A run over a collection that ended early; what it finished stays."""


class ClosedError(GazeError):
    """A `Clip`, or something of it, was used after it was closed."""

    def __init__(self) -> None:
        """Give the message, which is always the same."""
        super().__init__("this Clip was closed; make a new one")
