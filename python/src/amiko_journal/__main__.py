"""Prints the events of a directory, or its state.

Exit codes: 0 success, 1 the output can't be written, 2 wrong usage, 3 there is no such directory or version, or a file can't be
read, 4 it is damaged, 130 stopped with Ctrl-C.
"""

import argparse
import os
import sys
import warnings

from . import Directory, NoStateError, NotKeptError, NotYetError, StateError, write
from ._text import plain

SUCCESS, OUTPUT, USAGE, MISSING, DAMAGED, INTERRUPTED = 0, 1, 2, 3, 4, 130


class _OutputError(Exception):
    """Where it writes to is gone, or full."""


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m amiko_journal",
        description="Prints the events of an Amiko node's state directory, one a line, or its state. Changes nothing.",
        epilog=" ".join(__doc__.split("\n\n")[1].split()),
    )
    parser.add_argument("directory", metavar="DIR", help="the state directory")
    parser.add_argument(
        "--at", metavar="VERSION", type=_version, help="prints the document as of a version, or as of the `newest` one"
    )
    parser.add_argument("--after", metavar="VERSION", type=int, help="prints the events after a version only")
    parser.add_argument("--follow", action="store_true", help="goes on with the events that come, until it is stopped")
    parser.add_argument("--json", action="store_true", help="prints each event, or the document, as one line of JSON")
    parser.add_argument("--secrets", action="store_true", help="prints secrets as well")
    asked = parser.parse_args(arguments)
    if asked.at is not None and (asked.follow or asked.after is not None):
        parser.error("expected --at alone, or --after and --follow, found both")
    warnings.showwarning = lambda message, *_, **__: _say(message)
    # Also what was said before, and where a program says that nothing is to be said.
    warnings.simplefilter("always")
    try:
        _print(asked)
    except _OutputError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            # Whoever reads it has seen enough.
            return SUCCESS
        _say(f"can't write: {error.__cause__}")
        return OUTPUT
    except (NoStateError, NotKeptError, NotYetError) as error:
        _say(error)
        return MISSING
    except StateError as error:
        _say(error)
        return DAMAGED
    except OSError as error:
        _say(f"can't read: {error}")
        return MISSING
    except KeyboardInterrupt:
        return INTERRUPTED
    return SUCCESS


def _version(text):
    if text == "newest":
        return text
    version = int(text)
    if version < 0:
        raise ValueError(text)
    return version


def _say(text):
    print(f"amiko_journal: {plain(str(text))}", file=sys.stderr)


def _print(asked):
    directory = Directory(asked.directory, secrets=asked.secrets)
    if asked.at is not None:
        document = directory.document(None if asked.at == "newest" else asked.at)
        if asked.json:
            _line(write(document))
        else:
            _members(document, "")
    else:
        events = directory.follow(asked.after) if asked.follow else directory.events(asked.after)
        for event in events:
            _line(write(event.to_dict()) if asked.json else line(event), flush=asked.follow)
    if directory.torn:
        torn = directory.torn
        _say(f"{torn.file}:{torn.line} (byte {torn.byte}): left out {torn.bytes} bytes of a write that hasn't ended")
    _flush()


def _members(value, indent):
    """The members of a value, one a line."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for name, member in members:
        if isinstance(member, (dict, list)) and member:
            _line(f"{indent}{plain(str(name))}")
            _members(member, indent + "  ")
        else:
            _line(f"{indent}{plain(str(name))}: {plain(write(member))}")


def line(event):
    """An event in one line for people: version, time, why, and what it changed."""
    moment = event.at
    time = f"{event.time} ms" if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{event.time % 1000:03}Z"
    return f"{event.version:>8}  {time}  {_why(event)}  {_what(event)}"


def _why(event):
    why = [event.cause_class or "event"]
    named = (event.cause.get(name) for name in ("connection", "timer", "effect"))
    why += [plain(name) for name in named if isinstance(name, str)]
    if event.message_class is not None:
        why.append(plain(event.message_class))
    if event.kind is not None and event.id is not None:
        # The node itself has no key.
        why.append("→ " + plain(f"{event.kind}/{event.id}".rstrip("/")))
    return " ".join(why)


def _what(event):
    shown = 3
    if event.rejected is not None:
        return f"rejected: {plain(event.rejected)}"
    changes = [_change(operation) for operation in event.patch[:shown]]
    if len(event.patch) > shown:
        changes.append(f"and {len(event.patch) - shown} more")
    return ", ".join(changes)


def _change(operation):
    longest = 40
    path = operation["path"]
    while path.startswith("/state/"):
        path = path[len("/state/") :]
    path = plain(path.lstrip("/"))
    if operation["op"] == "remove":
        return f"- {path}"
    value = plain(write(operation["value"]))
    value = value if len(value) <= longest else value[:longest] + "…"
    return f"+ {path} {value}" if operation["op"] == "add" else f"{path} = {value}"


def _line(text, flush=False):
    try:
        print(text, flush=flush)
    except OSError as error:
        _silence()
        raise _OutputError from error


def _flush():
    try:
        sys.stdout.flush()
    except OSError as error:
        _silence()
        raise _OutputError from error


def _silence():
    """So that Python doesn't try to write the rest once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    # Whatever the locale is.
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(main())
