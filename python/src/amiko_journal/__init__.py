"""Reads the state directory of an Amiko node: states at every kept version, and events, also as they come.

It only reads, and takes no lock: the node may be running.
"""

from ._directory import Directory
from ._errors import (
    DamagedError,
    MissingFileError,
    NewerFormatError,
    NoStateError,
    NothingHiddenWarning,
    NotKeptError,
    NotYetError,
    SkippedSnapshotWarning,
    StateError,
)
from ._event import Event
from ._frame import frame, rows
from ._segment import Torn
from ._text import Float, write

__version__ = "0.1.0"
__all__ = [
    "DamagedError",
    "Directory",
    "Event",
    "Float",
    "MissingFileError",
    "NewerFormatError",
    "NoStateError",
    "NotKeptError",
    "NotYetError",
    "NothingHiddenWarning",
    "SkippedSnapshotWarning",
    "StateError",
    "Torn",
    "frame",
    "rows",
    "write",
]
