"""Reading a directory: which snapshot, and which segments after it.

Nothing here changes a file or takes the lock. Whatever is handed over is a state that was there once, and never an older one
than was asked for.
"""

import os
import time
import warnings
from collections import deque
from dataclasses import replace
from typing import Any, Dict, Iterator, Optional, Union

from . import _patch
from ._errors import (
    DamagedError,
    MissingFileError,
    NoStateError,
    NothingHiddenWarning,
    NotKeptError,
    NotYetError,
    SkippedSnapshotWarning,
)
from ._event import Event, read_event
from ._files import Files
from ._secrets import Secrets
from ._segment import Torn

# A newer snapshot may take the place of files after they were listed: so often they are listed anew at the most.
_ATTEMPTS = 10
# So many segments are open at a time, at the most, while events are read: a process may open about a thousand files.
_OPEN = 64


class Directory:
    """The state directory of an Amiko node, running or not.

    What the node's classes have as `Secret` is hidden, as far as `classes.json` says so, unless `secrets` is true.
    """

    def __init__(self, path: Union[str, "os.PathLike[str]"], secrets: bool = False) -> None:
        self.path = os.fspath(path)
        self.secrets = secrets
        self.torn: Optional[Torn] = None
        """The end of the journal that was cut off in the last reading (see `Torn`): of a crash, or because somebody was
        writing it."""
        self._files = Files(path)
        self._said = False

    def __repr__(self):
        return f"Directory({self.path!r})"

    def versions(self) -> range:
        """The versions whose states are kept, as a range. All of the journal since the newest snapshot is checked."""
        oldest = self._inventory().snapshots[:1]
        reached, _ = self._attempt(lambda: self._replay(None, None))
        return range(oldest[0] if oldest else reached, reached + 1)

    def state(self, version: Optional[int] = None) -> Dict[str, Any]:
        """The state of the node, as of a version; the newest one if none is given."""
        return self.document(version)["state"]

    def document(self, version: Optional[int] = None) -> Dict[str, Any]:
        """All of the document: the state, and the timers, connections, answers and effects beside it.

        Its member `seq` is the version.
        """
        replay = _Document()
        reached, _ = self._attempt(lambda: self._replay(version, replay))
        replay.document["seq"] = reached
        return self._secrets().hide_document(replay.document)

    def events(self, after: Optional[int] = None) -> Iterator[Event]:
        """Iterates over the events after a version; over all that are kept if none is given."""
        segments, later, newest = self._open_segments(after)
        return self._events(after, segments, later, newest)

    def follow(self, after: Optional[int] = None, poll: float = 0.2) -> Iterator[Event]:
        """The same, and then over those that a node commits from now on: it never ends.

        Every `poll` seconds it looks whether there are more. An event may come before its sync has ended: a power cut of
        the machine could undo it.
        """
        segments, _, _ = self._open_segments(after)
        return self._follow(after, segments[0], segments[1:], poll)

    def _secrets(self):
        if self.secrets:
            return Secrets.none()
        secrets = Secrets.of(self.path)
        if secrets is None and not self._said:
            self._said = True
            expected = f"expected {os.path.join(self.path, 'classes.json')}, which says what is secret, found none"
            advice = "the next start of its program writes it"
            warnings.warn(f"nothing is hidden: {expected}; {advice}", NothingHiddenWarning, stacklevel=3)
        return secrets or Secrets.none()

    def _inventory(self):
        inventory = self._files.inventory()
        if not inventory.segments and not inventory.snapshots:
            raise NoStateError(self.path)
        return inventory

    def _attempt(self, read):
        for _ in range(_ATTEMPTS - 1):
            try:
                return read()
            except FileNotFoundError:
                pass
        return read()

    # States.

    def _replay(self, until, replay):
        """Hands the newest good snapshot that isn't after version `until`, and every record from there to that version, to
        `replay`. Gives the last version, and the snapshot's.
        """
        inventory = self._inventory()
        snapshots, segments = inventory
        last = segments[-1] if segments else None
        if until is not None:
            snapshots = [sequence for sequence in snapshots if sequence <= until]
            segments = [first for first in segments if first <= until]
            if inventory.snapshots and not snapshots:
                raise NotKeptError(self.path, until, inventory.snapshots[0])
        base, text, damaged = self._base(snapshots)
        reached = 0 if base is None else base
        # All of them are open before anything is handed over: what is open stays there to be read.
        opened = []
        try:
            for first in segments:
                if first > reached:
                    opened.append(self._files.open(first))
            if replay is not None and base is not None:
                replay.snapshot(self._files, base, text)
            reached, before, self.torn = self._records(opened, base, last, until, replay)
        finally:
            for segment in opened:
                segment.close()
        # A snapshot is only written when the journal up to it is durable, and a segment after it is there: the newest one,
        # whether it is good or not, tells how far the journal has to go at the least.
        newest = damaged[0][0] if damaged else base
        follows = newest is not None and before is not None and before > newest
        if newest is not None and (reached < newest or (until != newest and not follows)):
            raise self._files.gap(base, reached, before, newest + 1 if reached < newest else None)
        if base is None:
            # A directory that has just been begun, unless there is a record.
            raise self._files.gap(None, 0, None, 1) if reached > 0 else NoStateError(self.path)
        if until is not None and reached < until:
            raise NotYetError(self.path, until, reached)
        for _, error in damaged:
            warnings.warn(f"skipped a snapshot: {error}", SkippedSnapshotWarning, stacklevel=5)
        return reached, base

    def _records(self, opened, base, last, until, replay):
        reached, before, torn = 0 if base is None else base, None, None
        for segment in opened:
            if segment.first != reached + 1:
                raise self._files.gap(base, reached, before, segment.first)
            # Only the last one of all may be torn: those before were synced before the next was begun.
            for line in segment.records(segment.first == last, until):
                if replay is not None and base is not None:
                    replay.record(line)
            reached, before, torn = segment.reached, segment.first, segment.torn
        return reached, before, torn

    def _base(self, snapshots):
        """The newest snapshot that is good with its text, and the damaged ones after it."""
        damaged = []
        for sequence in reversed(snapshots):
            try:
                return sequence, self._files.read_snapshot(sequence), damaged
            except DamagedError as error:
                damaged.append((sequence, error))
        if damaged:
            raise damaged[0][1]
        return None, None, damaged

    # Events.

    def _open_segments(self, after):
        """The segments that have the events after a version: the first ones open, the numbers of the others, and that of the
        newest one.
        """
        attempt = self._attempt(lambda: self._open_needed(after))
        segments, _, _ = attempt
        first = segments[0].first
        if after is not None and first > after + 1:
            for segment in segments:
                segment.close()
            raise NotKeptError(self.path, after, first - 1)
        return attempt

    def _open_needed(self, after):
        numbers = self._inventory().segments
        if not numbers:
            raise self._files.gap(None, 0, None, None)
        start = 0 if after is None else max(sum(first <= after + 1 for first in numbers) - 1, 0)
        needed = numbers[start:]
        opened = []
        try:
            for first in needed[:_OPEN]:
                opened.append(self._files.open(first))
        except OSError:
            for segment in opened:
                segment.close()
            raise
        return opened, needed[_OPEN:], numbers[-1]

    def _events(self, after, segments, later, newest):
        secrets = self._secrets()
        opened, later = deque(segments), iter(later)
        first, before, reached = segments[0].first, None, segments[0].first - 1
        torn = None
        try:
            while opened:
                segment = opened[0]
                if before is not None and segment.first != reached + 1:
                    raise self._files.gap(first, reached, before, segment.first)
                for line in segment.records(segment.first == newest):
                    if after is None or line.sequence > after:
                        yield _shown(read_event(line), secrets)
                reached, before, torn = segment.reached, segment.first, segment.torn
                opened.popleft().close()
                for number in later:
                    opened.append(self._open_next(number, reached))
                    break
        finally:
            for segment in opened:
                segment.close()
        self.torn = torn
        if after is not None and reached < after:
            raise NotYetError(self.path, after, reached)

    def _open_next(self, first, reached):
        try:
            return self._files.open(first)
        except FileNotFoundError:
            raise self._removed(reached) from None

    def _removed(self, reached):
        """The error that what follows isn't there any more."""
        inventory = self._inventory()
        oldest = inventory.snapshots[0] if inventory.snapshots else 0
        if reached < oldest:
            return NotKeptError(self.path, reached, oldest)
        resumes = [first for first in inventory.segments if first > reached + 1]
        return self._files.gap(oldest, reached, None, resumes[0] if resumes else None)

    def _follow(self, after, segment, opened, poll):
        opened = deque(opened)
        try:
            while True:
                secrets = self._secrets()
                numbers = self._inventory().segments
                newer = any(number > segment.first for number in numbers)
                if newer or not segment.is_idle():
                    # After a newer one was seen, all of this one is there.
                    for line in segment.records(not newer):
                        if after is None or line.sequence > after:
                            yield _shown(read_event(line), secrets)
                    self.torn = segment.torn
                if newer:
                    following = opened.popleft() if opened else self._following(segment)
                    if following.first != segment.reached + 1:
                        following.close()
                        raise self._files.gap(segment.first, segment.reached, segment.first, following.first)
                    segment.close()
                    segment = following
                    continue
                self._expect_same(segment, numbers)
                if after is not None and segment.reached < after:
                    raise NotYetError(self.path, after, segment.reached)
                time.sleep(poll)
        finally:
            segment.close()
            for other in opened:
                other.close()

    def _following(self, segment):
        """The segment after one that is complete."""
        for _ in range(_ATTEMPTS):
            try:
                return self._files.open(segment.reached + 1)
            except FileNotFoundError:
                # A list that was made while files came and went may lack one: this one may be in the next.
                pass
        numbers = [first for first in self._inventory().segments if first > segment.first]
        if numbers and self._files.previous_segment(numbers[0]) == segment.first:
            raise self._files.gap(segment.first, segment.reached, segment.first, numbers[0])
        raise self._removed(segment.reached)

    def _expect_same(self, segment, numbers):
        """A segment is written until there is a newer one: another file of its name is another history."""
        try:
            same = segment.first in numbers and os.path.samestat(os.stat(segment.path), os.fstat(segment.fileno()))
        except FileNotFoundError:
            same = False
        if same or any(number > segment.first for number in self._inventory().segments):
            return
        found = "another file" if segment.first in numbers else "none"
        advice = "it was removed, or replaced, by a repair perhaps: begin again with the state"
        raise MissingFileError(segment.path, "the segment that is being followed", found, advice)


def _shown(event, secrets):
    return replace(event, cause=secrets.hide_cause(event.cause), patch=secrets.hide_patch(event.patch))


class _Document:
    """The document that the files lead to."""

    def __init__(self):
        self.document = None

    def snapshot(self, files, sequence, text):
        self.document = files.parse_snapshot(sequence, text)

    def record(self, line):
        for operation in read_event(line).patch:
            try:
                _patch.apply_operation(self.document, operation["op"], operation["path"], operation.get("value"))
            except ValueError as error:
                raise line.damaged("a patch that fits the document before it", f"another one: {error}") from None
