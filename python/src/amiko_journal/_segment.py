"""One segment of the journal: a file of lines that is preallocated with newlines."""

import io
from typing import NamedTuple

from . import _format
from ._errors import DamagedError, NewerFormatError

_BLOCK = 1 << 16


class Torn(NamedTuple):
    """The end of the journal that a crash left half-written, or that is being written at this moment."""

    file: str
    line: int
    byte: int
    bytes: int


class Line(NamedTuple):
    """A good record, and where it is."""

    sequence: int
    body: bytes
    file: str
    line: int
    byte: int

    def damaged(self, expected, found):
        return DamagedError(self.file, self.line, self.byte, expected, found)


class Segment:
    """A segment that is open to be read: what is open stays there, though somebody else may remove its name."""

    def __init__(self, path, first):
        self.path = path
        self.first = first
        self.reached = first - 1
        """The last record that was handed over."""
        self.torn = None
        self._raw = open(path, "rb", buffering=0)
        self._reader = io.BufferedReader(self._raw, _BLOCK)
        # The line, without its newline; its number, from 1; where it begins, and where the next one does.
        self._line, self._number, self._start, self._next = b"", 0, 0, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._reader.close()

    def fileno(self):
        return self._raw.fileno()

    def header(self):
        """Reads the first line."""
        self._go_to(0, 1)
        if not self._advance():
            # An empty file has an empty first line, which isn't a header.
            self._number = 1
        try:
            return _format.open_header(self._line, self.first)
        except _format.NewerFormat as newer:
            raise NewerFormatError(self.path, newer.format, _format.FORMAT) from None
        except _format.Fault as fault:
            raise self._damaged(fault) from None

    def records(self, last, until=None):
        """The records, in order, up to version `until`; when it is called again, those that have come since.

        Only the last segment may have a torn end.
        """
        if self._number == 0:
            self.header()
        else:
            self._go_to(self._next, self._number + 1)
        self.torn = None
        doubted = None
        while until is None or self.reached < until:
            begin, number = self._next, self._number + 1
            if not self._advance():
                break
            try:
                record = _format.open_record(self._line)
            except _format.Fault as fault:
                blank, torn, damaged = self._judge_tail(fault, last)
                if not blank and doubted != begin:
                    # What isn't right is read once more. Somebody else may be writing it: its end was read before the next
                    # group was there, and what proves it to be damage afterwards.
                    doubted = begin
                    self._go_to(begin, number)
                    continue
                if damaged:
                    raise damaged from None
                self.torn = torn
                self._next, self._number = begin, number - 1
                break
            if record.sequence != self.reached + 1:
                expected = f"sequence number {self.reached + 1}"
                raise DamagedError(self.path, self._number, self._start, expected, str(record.sequence))
            self.reached = record.sequence
            yield Line(record.sequence, record.body, self.path, self._number, self._start)

    def is_idle(self):
        """Whether nothing stands behind the records that were handed over: so it is most of the time, and soon known."""
        self._raw.seek(self._next)
        return self._raw.read(1) in (b"", b"\n")

    def _advance(self):
        """Goes to the next line; false at the end of the file."""
        line = self._reader.readline()
        if not line:
            return False
        self._start = self._next
        self._number += 1
        whole = line.endswith(b"\n")
        self._line = line[:-1] if whole else line
        # One byte beyond the file if the last newline is missing: it will be put there.
        self._next += len(self._line) + 1
        return True

    def _go_to(self, start, number):
        """Makes the next line this one, and reads it anew: a buffer may have what has been overwritten since."""
        self._reader.detach()
        self._raw.seek(start)
        self._reader = io.BufferedReader(self._raw, _BLOCK)
        self._next, self._number = start, number - 1

    def _judge_tail(self, fault, last):
        """Decides what a line is that isn't a record: the end of the journal, a torn end, or damage.

        A crash may leave any part of the last group of records on disk, later ones without earlier ones too. A later group
        is only written when the ones before have been synced; so if one follows, what is damaged here had been durable.
        What a write hasn't reached is newlines. So a line that it tore is a beginning of a record, and one that is more
        than that was damaged.
        """
        damaged = self._damaged(fault)
        if not self._line and self._rest_is_blank():
            return True, None, None
        if not last or fault.sealed or _format.is_whole(self._line):
            return False, None, damaged
        start, number, end = self._start, self._number, self._start
        while True:
            if self._line:
                end = self._start + len(self._line)
            if _format.proves_sync(self._line, self.reached + 1):
                return False, None, damaged
            if not self._advance():
                break
        return False, Torn(self.path, number, start, end - start), None

    def _rest_is_blank(self):
        """Whether only newlines follow from this line on. Leaves the reader where it was."""
        self._raw.seek(self._start)
        while True:
            block = self._raw.read(_BLOCK)
            if not block:
                blank = True
                break
            if block.count(b"\n") != len(block):
                blank = False
                break
        if not blank:
            # The line after this empty one.
            self._reader.detach()
            self._raw.seek(self._next)
            self._reader = io.BufferedReader(self._raw, _BLOCK)
        return blank

    def _damaged(self, fault):
        return DamagedError(self.path, self._number, self._start, fault.expected, fault.found)
