"""The files of a directory: how they are named, and what is in a snapshot."""

import os
import re
from typing import List, NamedTuple

from . import _format, _text
from ._errors import DamagedError, MissingFileError, NewerFormatError, NoStateError
from ._segment import Segment

# Any spelling of a number counts: a file that was written anew by hand is refused, and not passed over.
_NAME = re.compile(r"(snapshot)-([0-9]+)\.json|(journal)-([0-9]+)\.jsonl", re.ASCII)
_LARGEST = (1 << 64) - 1
_MEMBERS = {"format", "seq", "schema", "state", "timers", "connections", "answers", "effects"}


class Inventory(NamedTuple):
    """The numbers of the files, in order."""

    snapshots: List[int]
    segments: List[int]


class Files:
    """The files of one directory."""

    def __init__(self, directory):
        self.directory = os.fspath(directory)

    def snapshot(self, sequence):
        return os.path.join(self.directory, f"snapshot-{sequence}.json")

    def segment(self, first):
        return os.path.join(self.directory, f"journal-{first}.jsonl")

    def open(self, first):
        return Segment(self.segment(first), first)

    def inventory(self):
        """What is there. Files of other names aren't looked at."""
        try:
            names = os.listdir(self.directory)
        except (FileNotFoundError, NotADirectoryError):
            raise NoStateError(self.directory) from None
        found = {}
        for name in names:
            match = _NAME.fullmatch(name)
            if not match:
                continue
            kind, number = match.group(1) or match.group(3), int(match.group(2) or match.group(4))
            if number > _LARGEST or (kind == "journal" and number == 0):
                continue
            found.setdefault((kind, number), []).append(name)
        for (kind, number), names in sorted(found.items()):
            right = os.path.basename(self.snapshot(number) if kind == "snapshot" else self.segment(number))
            advice = "rename it if it belongs here, or move it away"
            for name in names:
                if name != right:
                    raise MissingFileError(os.path.join(self.directory, right), "the only file of its number", name, advice)
        numbers = {kind: sorted(n for k, n in found if k == kind) for kind in ("snapshot", "journal")}
        return Inventory(numbers["snapshot"], numbers["journal"])

    def read_snapshot(self, sequence):
        """The text of a snapshot's document."""
        path = self.snapshot(sequence)
        with open(path, "rb") as file:
            content = file.read()
        try:
            text = _format.open_snapshot(content)
        except _format.PlacedFault as placed:
            raise DamagedError(path, placed.line, placed.byte, placed.fault.expected, placed.fault.found) from None
        format, found = _format.document_start(text)
        if format is not None and format > _format.FORMAT:
            raise NewerFormatError(path, format, _format.FORMAT)
        if found is not None and found != sequence:
            name = os.path.basename(self.snapshot(found))
            raise MissingFileError(
                path,
                f"the snapshot of version {sequence}",
                f"that of {found}",
                f"rename it to {name} if it belongs here, or move it away",
            )
        return text

    def parse_snapshot(self, sequence, text):
        """The document of it."""
        path = self.snapshot(sequence)
        try:
            document = _text.parse(text)
        except ValueError as error:
            raise DamagedError(path, 1, 0, "a document in JSON", f"something else: {error}") from None
        unknown = [name for name in document if name not in _MEMBERS]
        if unknown or not isinstance(document.get("state"), dict):
            found = f"the member {unknown[0][:60]!r}, of a newer version perhaps" if unknown else "none"
            raise DamagedError(path, 1, 0, "a document with a state, and members that are known", found)
        return document

    def previous_segment(self, first):
        """The segment before the one that begins with this record, if that one says so."""
        try:
            with self.open(first) as segment:
                return segment.header().previous
        except (OSError, DamagedError, NewerFormatError):
            return None

    def gap(self, base, reached, before, resumes):
        """The error that names the file whose absence, or whose early end, is what went wrong.

        `before` is the first number of the last segment before the gap, `resumes` that of the first one after it.
        """
        if before is None and resumes is not None and base is None and reached == 0:
            name = os.path.basename(self.segment(resumes))
            return MissingFileError(self.snapshot(resumes - 1), f"the snapshot that {name} follows", "none")
        if before is not None and resumes is not None and self.previous_segment(resumes) in (None, before):
            return MissingFileError(self.segment(before), f"records up to {resumes - 1}", f"none after {reached}")
        found = "no journal" if resumes is None else f"a journal that goes on at {resumes}"
        return MissingFileError(self.segment(reached + 1), f"a journal after version {reached}", found)
