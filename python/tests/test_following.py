"""Events as they come: what a node does between two looks is done here, so nothing depends on time."""

import os
import queue
import threading
from unittest import mock

from amiko_journal import DamagedError, Directory, MissingFileError, NotKeptError, NotYetError, _format, _segment

from .directories import Case, header, record, snapshot

ROOM = 4096


class Stopped(Exception):
    """There is nothing more to be done."""


class Following(Case):
    def setUp(self):
        super().setUp()
        self.write("snapshot-0.json", snapshot(0))
        self.begin(1)

    def begin(self, first, previous=None):
        """A new segment, with room for records."""
        self.name, self.end = f"journal-{first}.jsonl", len(header(first, previous))
        content = header(first, previous)
        # It gets its name when all of it is there.
        (self.path / "new.tmp").write_bytes(content + b"\n" * (ROOM - len(content)))
        os.rename(self.path / "new.tmp", self.path / self.name)

    def put(self, content, at=None):
        """Writes into the segment where it is, as a node does."""
        with open(self.path / self.name, "r+b") as file:
            file.seek(self.end if at is None else at)
            file.write(content)

    def add(self, *records):
        self.put(b"".join(records))
        self.end += sum(map(len, records))

    def remove(self, *names):
        for name in names:
            os.remove(self.path / name)

    def seen(self, *steps, after=None):
        """The numbers of the events that are seen before the first step, between the steps, and after the last one."""
        seen, left = [[]], list(steps)

        def sleep(_):
            if not left:
                raise Stopped
            left.pop(0)()
            seen.append([])

        with mock.patch("time.sleep", sleep):
            try:
                for event in Directory(self.path).follow(after):
                    seen[-1].append(event.version)
            except Stopped:
                return seen

    def test_what_is_there_and_then_what_comes(self):
        self.add(record(1), record(2))
        steps = [lambda: self.add(record(3)), lambda: None, lambda: self.add(record(4), record(5, group=4))]
        self.assertEqual(self.seen(*steps), [[1, 2], [3], [], [4, 5]])

    def test_only_what_comes_after_a_version(self):
        self.add(record(1), record(2))
        self.assertEqual(self.seen(lambda: self.add(record(3)), after=2), [[], [3]])
        self.assertEqual(self.seen(lambda: self.add(record(4)), after=1), [[2, 3], [4]])

    def test_a_record_that_is_half_written_is_waited_for(self):
        line = record(1)
        for half in range(1, len(line) - 1):
            self.begin(1)
            steps = [lambda half=half: self.put(line[:half]), lambda: self.add(line, record(2))]
            self.assertEqual(self.seen(*steps), [[], [], [1, 2]], half)

    def test_a_write_whose_later_part_comes_first_is_waited_for(self):
        first, second = record(1), record(2, group=1)
        steps = [lambda: self.put(second, at=self.end + len(first)), lambda: self.add(first, second)]
        self.assertEqual(self.seen(*steps), [[], [], [1, 2]])

    def test_a_torn_end_is_cut_off_by_the_next_node(self):
        def restart():
            self.put(b"\n" * 40)
            self.add(record(2, "again"))

        self.add(record(1))
        self.assertEqual(self.seen(lambda: self.put(record(2)[:40]), restart), [[1], [], [2]])

    def test_a_file_that_grows(self):
        self.add(record(1))
        steps = [lambda: self.put(b"\n" * ROOM, at=ROOM), lambda: self.add(record(2, "x" * ROOM)), lambda: self.add(record(3))]
        self.assertEqual(self.seen(*steps), [[1], [], [2], [3]])

    def test_the_next_segment_takes_over(self):
        def rotate():
            # What was written last into the one before isn't lost.
            self.add(record(2))
            self.begin(3, 1)

        self.add(record(1))
        self.assertEqual(self.seen(rotate, lambda: self.add(record(3))), [[1], [2], [3]])

    def test_a_snapshot_takes_the_place_of_the_segment_that_is_followed(self):
        def take_over():
            self.add(record(2))
            self.begin(3, 1)
            self.add(record(3))
            self.write("snapshot-2.json", snapshot(2))
            self.remove("snapshot-0.json", "journal-1.jsonl")

        self.add(record(1))
        self.assertEqual(self.seen(take_over, lambda: self.add(record(4))), [[1], [2, 3], [4]])

    def test_segments_that_retention_has_removed_are_an_error(self):
        def fall_behind():
            self.begin(2, 1)
            self.add(record(2))
            self.begin(3, 2)
            self.write("snapshot-2.json", snapshot(2))
            self.remove("snapshot-0.json", "journal-1.jsonl", "journal-2.jsonl")

        self.add(record(1))
        with self.assertRaises(NotKeptError) as error:
            self.seen(fall_behind)
        self.assertEqual((error.exception.version, error.exception.oldest), (1, 2))
        self.assertEqual(
            str(error.exception),
            f"{self.path}: expected a version from 2 on, the oldest one that is kept, found 1; begin with the state at a newer one",
        )

    def test_a_segment_that_somebody_removed_is_an_error(self):
        self.add(record(1))
        with self.assertRaises(MissingFileError) as error:
            self.seen(lambda: self.remove("journal-1.jsonl"))
        self.assertEqual((error.exception.file, error.exception.found), (str(self.path / "journal-1.jsonl"), "none"))
        self.begin(1)
        self.add(record(1))
        with self.assertRaises(MissingFileError) as error:
            self.seen(lambda: self.begin(1))
        self.assertEqual(error.exception.found, "another file")

    def test_a_segment_that_ends_too_early_is_an_error(self):
        self.add(record(1))
        with self.assertRaises(MissingFileError) as error:
            self.seen(lambda: self.begin(3, 1))
        self.assertEqual((error.exception.file, error.exception.expected), (str(self.path / "journal-1.jsonl"), "records up to 2"))

    def test_what_was_read_too_early_is_read_once_more(self):
        first, second, third = record(1), record(2), record(3)
        self.put(first + second[:30])
        open_record = _format.open_record

        def written_meanwhile(line):
            try:
                return open_record(line)
            except _format.Fault:
                # Half of it was read, and now there is a later group behind it, which looks like a proof of damage.
                self.put(first + second + third)
                raise

        with mock.patch.object(_format, "open_record", written_meanwhile), mock.patch.object(_segment, "_BLOCK", 64):
            self.assertEqual(self.seen(), [[1, 2, 3]])

    def test_a_segment_before_the_last_one_isnt_torn(self):
        def rotate():
            self.put(record(2)[:30])
            self.begin(3, 1)

        self.add(record(1))
        with self.assertRaises(DamagedError) as error:
            self.seen(rotate)
        self.assertEqual((error.exception.file, error.exception.line), (str(self.path / "journal-1.jsonl"), 3))

    def test_damage_is_an_error(self):
        self.add(record(1))
        at = self.end
        with self.assertRaises(DamagedError) as error:
            self.seen(lambda: self.add(record(2).replace(b"v2", b"v3")))
        self.assertEqual((error.exception.line, error.exception.byte), (3, at))

    def test_a_version_that_isnt_there_yet_is_an_error(self):
        self.add(record(1))
        with self.assertRaises(NotYetError):
            self.seen(after=2)
        self.begin(2, 1)
        self.write("snapshot-1.json", snapshot(1))
        self.remove("snapshot-0.json", "journal-1.jsonl")
        with self.assertRaises(NotKeptError):
            self.seen(after=0)

    def test_a_writer_beside_it(self):
        """Bytes come in pieces of any length while it reads."""
        records = 300
        events = queue.Queue()
        done = threading.Event()

        def follow():
            try:
                for event in Directory(self.path).follow(poll=0.0005):
                    events.put(event)
                    if done.is_set() or event.version == records:
                        return
            except Exception as error:
                events.put(error)

        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        self.addCleanup(reader.join, 60)
        self.addCleanup(done.set)
        first, sequence = 1, 1
        while sequence <= records:
            group = [record(sequence + number, group=sequence if number else None) for number in range(sequence % 4 + 1)]
            text = b"".join(group)
            if self.end + len(text) > ROOM:
                self.begin(sequence, first)
                first = sequence
            for at in range(0, len(text), 37):
                self.put(text[at : at + 37], at=self.end + at)
            self.end += len(text)
            sequence += len(group)
        for number in range(1, records + 1):
            event = events.get(timeout=60)
            if isinstance(event, Exception):
                raise event
            self.assertEqual(event.version, number)
