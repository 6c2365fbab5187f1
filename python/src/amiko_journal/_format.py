"""The text of journal lines and snapshots, as `docs/format.md` of Amiko describes it."""

import re
from typing import NamedTuple, Optional

from ._checksum import checksum

FORMAT = 1

_SEAL = re.compile(rb'\{"crc":"(.{8})",', re.DOTALL)
_SEAL_BYTES = len(b'{"crc":"xxxxxxxx",')
_NUMBER = rb"(0|[1-9][0-9]{0,19})(?![0-9])"
_RECORD = re.compile(rb'(?:"group":' + _NUMBER + rb',)?"seq":' + _NUMBER)
_HEADER = re.compile(rb'"format":' + _NUMBER)
_DOCUMENT = re.compile(rb'\{"format":' + _NUMBER + rb'(?:,"seq":' + _NUMBER + rb")?")
_FOOTER = re.compile(rb',\n"crc":"(.{8})"\}\n', re.DOTALL)
_FOOTER_BYTES = len(b',\n"crc":"xxxxxxxx"}\n')
_LARGEST = (1 << 64) - 1


class Fault(Exception):
    """What a text should be and what it is.

    If it is `sealed`, it was written deliberately: it can't come from a write that was cut short.
    """

    def __init__(self, expected, found, sealed=False):
        super().__init__(f"expected {expected}, found {found}")
        self.expected = expected
        self.found = found
        self.sealed = sealed


class Record(NamedTuple):
    """A record as it is in the journal."""

    group: int
    sequence: int
    body: bytes
    """From `"seq"` on to the end of the line."""


class Header(NamedTuple):
    """The first line of a segment."""

    previous: Optional[int]
    time: int


class NewerFormat(Exception):
    """A format that is too new."""

    def __init__(self, format):
        super().__init__(format)
        self.format = format


def _number(digits):
    """A number, if it fits into 64 bits."""
    value = None if digits is None else int(digits)
    return None if value is None or value > _LARGEST else value


def _open(line):
    """The body of a line whose checksum is right.

    Checksums are compared as text: reading `1A` as `1a` would let a changed byte through.
    """
    seal = _SEAL.match(line)
    if not seal:
        raise Fault('a line that begins with {"crc":"xxxxxxxx",', excerpt(line))
    body = line[_SEAL_BYTES:]
    found = checksum(body)
    if seal.group(1) != found:
        raise Fault(f"checksum {excerpt(seal.group(1))}", f"checksum {excerpt(found)}")
    return body


def open_record(line):
    """Opens a journal line, without its newline."""
    body = _open(line)
    start = _RECORD.match(body)
    sequence = _number(start.group(2)) if start else None
    group = _number(start.group(1) or start.group(2)) if start else None
    if sequence is None or group is None or not _is_utf8(body):
        raise Fault('"seq" and a number after the checksum', excerpt(body), sealed=True)
    rest = body if start.group(1) is None else body[len(b'"group":') + len(start.group(1)) + 1 :]
    return Record(group, sequence, rest)


def open_header(line, first):
    """Opens the first line of the segment that begins with record `first`."""
    body = _open(line)
    start = _HEADER.match(body)
    if start and (_number(start.group(1)) or 0) > FORMAT:
        raise NewerFormat(_number(start.group(1)))

    def member(name):
        found = re.search(rb',"' + name + rb'":' + _NUMBER, body)
        return _number(found.group(1)) if found else None

    header = Header(member(b"previous"), member(b"time") or 0)
    # There is one way to write it: whatever was read, this is what it has to be.
    previous = "" if header.previous is None else f',"previous":{header.previous}'
    expected = f'"format":{FORMAT},"first":{first},"follows":{first - 1}{previous},"time":{header.time}}}'
    if body != expected.encode():
        raise Fault(f"the header {expected}", excerpt(body), sealed=True)
    return header


def open_snapshot(file):
    """Turns a snapshot into the text of its document.

    The exception of a fault has its place as another argument: (fault, line, byte).
    """
    at = max(len(file) - _FOOTER_BYTES, 0)
    body, end = file[:at], file[at:]
    footer = _FOOTER.fullmatch(end)
    if not footer:
        raise PlacedFault(body, Fault("a last line with the checksum of the snapshot", excerpt(end)))
    found = checksum(body)
    if footer.group(1) != found:
        raise PlacedFault(body, Fault(f"checksum {excerpt(footer.group(1))}", f"checksum {excerpt(found)}"))
    try:
        return body.decode() + "}"
    except UnicodeDecodeError as error:
        fault = Fault("text in UTF-8", excerpt(file[error.start :]))
        raise PlacedFault(file[: error.start], fault) from None


class PlacedFault(Exception):
    """A fault behind some bytes of a file."""

    def __init__(self, before, fault):
        super().__init__(str(fault))
        self.line = 1 + before.count(b"\n")
        self.byte = len(before)
        self.fault = fault


def document_start(document):
    """Format and sequence number of a document, as far as it begins with them."""
    start = _DOCUMENT.match(document[:80].encode())
    return (_number(start.group(1)), _number(start.group(2))) if start else (None, None)


def proves_sync(line, expected):
    """Whether any part of a damaged line, to its end, is a line that somebody sealed, and that was written by a later sync
    than the record `expected`.

    Lines that have run together because the newline between them was damaged are why this looks inside.
    """
    at = line.find(b'{"crc":"')
    while at >= 0:
        try:
            record = open_record(line[at:])
            proof = record.group > expected or record.sequence < expected
        except Fault as fault:
            proof = fault.sealed
        if proof:
            return True
        at = line.find(b'{"crc":"', at + 1)
    return False


def is_whole(line):
    """Whether a line has all of a record in it, damaged or not: every bracket that it opens is closed again. The first byte
    counts as one, whatever it is. No beginning of a record is that far.
    """
    depth, quoted, escaped = 1, False, False
    for byte in line[1:]:
        if escaped:
            escaped = False
        elif byte == 0x5C:
            escaped = quoted
        elif byte == 0x22:
            quoted = not quoted
        elif not quoted and byte in b"{[":
            depth += 1
        elif not quoted and byte in b"}]":
            depth -= 1
        if depth == 0:
            return True
    return False


def excerpt(text):
    """What is at the start of a text, on one line and not too long."""
    longest = 60
    if not text:
        return "nothing"
    shown = text[:longest].decode(errors="replace")
    more = " …" if len(text) > longest else ""
    return "".join(_escaped(character) for character in shown) + more


def _escaped(character):
    known = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "'": "\\'", "\\": "\\\\", "\0": "\\0"}
    if character in known:
        return known[character]
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"


def _is_utf8(text):
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
