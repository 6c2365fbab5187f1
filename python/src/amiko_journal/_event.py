"""What a record of a journal says: when, why, and what changed."""

import datetime
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from . import _patch, _text

_MEMBERS = {"seq", "time", "cause", "rejected", "patch"}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


@dataclass(frozen=True)
class Event:
    """A committed event: it made the version of its number."""

    version: int
    time: int
    """In milliseconds since 1970 UTC."""
    cause: Dict[str, Any]
    """What caused it, as the journal has it."""
    patch: List[Dict[str, Any]]
    """What it changed: a JSON Patch (RFC 6902) of the document."""
    rejected: Optional[str] = None
    """Why it was rejected, if it only used up an input."""

    @property
    def at(self) -> Optional[datetime.datetime]:
        """The time, in UTC; none if its year has more than four digits."""
        try:
            return _EPOCH + datetime.timedelta(milliseconds=self.time)
        except OverflowError:
            return None

    @property
    def cause_class(self) -> Optional[str]:
        """`Command`, `Message`, `Timer`, `Confirmation`, `Conflict`, `Lingered`, `Edit`, `Performed` or `Failure`."""
        return self.cause.get("_class")

    @property
    def kind(self) -> Optional[str]:
        """The kind of the object that its first message was for; none if there was no message."""
        return _member(_member(self.cause, "envelope"), "kind")

    @property
    def id(self) -> Optional[str]:
        """The key of that object, as text; the node itself has an empty one."""
        key = _member(_member(self.cause, "envelope"), "id")
        return key if key is None or isinstance(key, str) else _text.write(key)

    @property
    def message_class(self) -> Optional[str]:
        """The class of that message."""
        message = _member(_member(self.cause, "envelope"), "message")
        return message if isinstance(message, str) else _member(message, "_class")

    @property
    def paths(self) -> List[str]:
        """Where it changed something: JSON Pointers (RFC 6901)."""
        return [operation["path"] for operation in self.patch]

    def apply(self, document: Dict[str, Any]) -> None:
        """Makes the document of the version before it, in place, that of its own version."""
        _patch.apply(document, self.patch)
        document["seq"] = self.version

    def to_dict(self) -> Dict[str, Any]:
        """The record as the journal has it."""
        rejected = {} if self.rejected is None else {"rejected": self.rejected}
        return {"seq": self.version, "time": self.time, "cause": self.cause, **rejected, "patch": self.patch}


def _member(value, name):
    return value.get(name) if isinstance(value, dict) else None


def read_event(line):
    """Reads a line of a segment."""
    try:
        record = _text.parse("{" + line.body.decode())
    except ValueError as error:
        raise line.damaged("a record in JSON", f"something else: {error}") from None
    found = _what_is_wrong(record)
    if found:
        expected, found = found
        raise line.damaged(expected, found)
    cause = record["cause"]
    # An old record may have a cause without members as a string.
    cause = {"_class": cause} if isinstance(cause, str) else cause
    return Event(line.sequence, record["time"], cause, record["patch"], record.get("rejected"))


def _what_is_wrong(record):
    unknown = [name for name in record if name not in _MEMBERS]
    if unknown:
        return "a record with seq, time, cause, rejected and patch", f"the member {unknown[0][:60]!r}, of a newer version perhaps"
    if not isinstance(record.get("time"), int) or isinstance(record["time"], bool) or record["time"] < 0:
        return "a record with a time", _found(record, "time")
    if not isinstance(record.get("cause"), (dict, str)):
        return "a record with a cause", _found(record, "cause")
    if not isinstance(record.get("rejected"), (str, type(None))):
        return "a reason for a rejection", _found(record, "rejected")
    if not isinstance(record.get("patch"), list) or not all(map(_is_operation, record["patch"])):
        return "a record with a patch", _found(record, "patch")
    return None


def _found(record, name):
    return _text.write(record[name])[:60] if name in record else "none"


def _is_operation(operation):
    if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
        return False
    op = operation.get("op")
    return op == "remove" or (op in ("add", "replace") and "value" in operation)
