"""What can be wrong with a directory."""


class StateError(Exception):
    """A directory that can't be read as it should be; `file` is the file or the directory that this is about."""

    def __init__(self, file, message):
        super().__init__(message)
        self.file = file


class DamagedError(StateError):
    """A file differs from what was written, and not only by a torn end.

    `line` (from 1) and `byte` (from 0) say where, `expected` and `found` what.
    """

    def __init__(self, file, line, byte, expected, found):
        super().__init__(
            file, f"{file}:{line} (byte {byte}): expected {expected}, found {found}; the file is damaged, restore it from a copy"
        )
        self.line = line
        self.byte = byte
        self.expected = expected
        self.found = found


class MissingFileError(StateError):
    """A file isn't there, ends too early, has another one's name, or there are two of it.

    `expected` and `found` say what.
    """

    def __init__(self, file, expected, found, advice="restore the file from a copy"):
        super().__init__(file, f"{file}: expected {expected}, found {found}; {advice}")
        self.expected = expected
        self.found = found


class NoStateError(StateError):
    """There is no such directory, or nothing of a state in it."""

    def __init__(self, directory):
        super().__init__(directory, f"{directory}: expected a snapshot or a journal, found neither; check the path")


class NotKeptError(StateError):
    """The version is older than the oldest one that is kept, which is `oldest`."""

    def __init__(self, directory, version, oldest):
        super().__init__(
            directory,
            f"{directory}: expected a version from {oldest} on, the oldest one that is kept, found {version}; begin with the state at a newer one",
        )
        self.version = version
        self.oldest = oldest


class NotYetError(StateError):
    """The version doesn't exist yet; the newest one is `newest`."""

    def __init__(self, directory, version, newest):
        super().__init__(directory, f"{directory}: expected a version up to {newest}, the newest one, found {version}")
        self.version = version
        self.newest = newest


class NewerFormatError(StateError):
    """A newer version of Amiko has written a file, in the format `format`."""

    def __init__(self, file, format, supported):
        super().__init__(file, f"{file}: expected format {supported}, found {format}; read it with a newer version of this package")
        self.format = format
        self.supported = supported


class SkippedSnapshotWarning(UserWarning):
    """A snapshot is damaged, and an older one with the journal after it has taken its place."""


class NothingHiddenWarning(UserWarning):
    """There is no `classes.json`, which says what is secret."""
