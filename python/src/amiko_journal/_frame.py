"""Events as a table."""

from typing import Any, Dict, Iterable, List

from ._event import Event


def rows(events: Iterable[Event]) -> List[Dict[str, Any]]:
    """A dict for each event, with what a table of them has as columns."""
    return [_row(event) for event in events]


def _row(event):
    return {
        "version": event.version,
        "time": event.at,
        "cause": event.cause_class,
        "kind": event.kind,
        "id": event.id,
        "message": event.message_class,
        "rejected": event.rejected is not None,
        "reason": event.rejected,
        "changes": len(event.patch),
        "paths": event.paths,
    }


_COLUMNS = ("version", "time", "cause", "kind", "id", "message", "rejected", "reason", "changes", "paths")


def frame(events: Iterable[Event]) -> "pandas.DataFrame":  # noqa: F821
    """A pandas DataFrame with a row for each event, and the columns of `rows`.

    `time` is a timestamp in UTC, and `NaT` where the year has more than four digits.
    """
    import pandas

    table = rows(events)
    frame = pandas.DataFrame(table, columns=_COLUMNS)
    frame["time"] = pandas.to_datetime(frame["time"], utc=True, errors="coerce")
    return frame.astype({"rejected": bool})
