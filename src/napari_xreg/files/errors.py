"""What a reader raises when a file is not what it should be."""


class ReadError(ValueError):
    """A file could not be read as what it was asked for.

    The message names the file, the field, what came and what to do: it is shown to the user as is.
    """


class TooLarge(ReadError):
    """A file declares more than fits into memory: refused before any of it is taken."""
