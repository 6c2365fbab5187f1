"""What a crash leaves is cut off; whatever else isn't as it was written is refused, and named."""

import os
import warnings

from amiko_journal import (
    DamagedError,
    Directory,
    MissingFileError,
    NewerFormatError,
    NoStateError,
    NotKeptError,
    NotYetError,
    SkippedSnapshotWarning,
    StateError,
)

from .directories import Case, crc32c, header, record, sealed, snapshot


class Damage(Case):
    def small(self, records=3):
        """A journal of three records in three syncs; gives its bytes, and where the last one begins."""
        self.write("snapshot-0.json", snapshot(0))
        lines = [record(sequence) for sequence in range(1, records + 1)]
        content = header(1) + b"".join(lines)
        self.write("journal-1.jsonl", content + b"\n" * 100)
        return content, len(content) - len(lines[-1])

    def text(self):
        return Directory(self.path).state()["text"]

    def refused(self, error=DamagedError, version=None):
        directory = Directory(self.path)
        with self.assertRaises(error) as events:
            if version is None:
                list(directory.events())
                directory.state()
            else:
                directory.state(version)
        return events.exception

    def test_a_torn_end_is_cut_off_at_every_byte(self):
        content, last = self.small()
        for at in range(last, len(content) - 1):
            for rest in (b"", b"\n" * (len(content) - at)):
                self.write("journal-1.jsonl", content[:at] + rest)
                directory = Directory(self.path)
                self.assertEqual((directory.state()["text"], directory.versions()), ("v2", range(3)))
                torn = directory.torn
                self.assertEqual([event.version for event in directory.events()], [1, 2])
                self.assertEqual(directory.torn, torn)
                if at == last:
                    self.assertIsNone(torn)
                else:
                    path = str(self.path / "journal-1.jsonl")
                    self.assertEqual(torn, (path, 4, last, at - last))

    def test_the_last_newline_may_be_missing(self):
        content, _ = self.small()
        self.write("journal-1.jsonl", content[:-1])
        directory = Directory(self.path)
        self.assertEqual((directory.state()["text"], directory.torn), ("v3", None))

    def test_every_changed_bit_of_a_journal_is_noticed(self):
        content, last = self.small()
        for at in range(len(content)):
            for bit in range(8):
                changed = bytearray(content)
                changed[at] ^= 1 << bit
                self.write("journal-1.jsonl", bytes(changed) + b"\n" * 10)
                # What says where a record ends, and the lines that are empty.
                may_look_torn = at >= last and any(byte in b'"\\{}[]\n' for byte in (content[at], changed[at]))
                directory = Directory(self.path)
                try:
                    text = directory.state()["text"]
                except StateError:
                    continue
                self.assertTrue(may_look_torn, f"byte {at}, bit {bit}")
                self.assertIn((text, directory.torn is None), [("v2", False), ("v3", True)])

    def test_a_changed_byte_is_named_with_its_place(self):
        self.fixture()
        self.change("journal-4.jsonl", b'"text":"a \\\\ b","count":7', b'"text":"a \\\\ b","count":8')
        error = self.refused()
        lines = self.read("journal-4.jsonl").split(b"\n")
        self.assertEqual((error.file, error.line, error.byte), (str(self.path / "journal-4.jsonl"), 2, len(lines[0]) + 1))
        self.assertEqual(error.expected, "checksum 10a5028e")
        self.assertRegex(error.found, "checksum [0-9a-f]{8}")
        self.assertIn("journal-4.jsonl:2 (byte 77): expected checksum 10a5028e, found checksum", str(error))
        # What doesn't need it is still there.
        self.assertEqual(Directory(self.path).state(3)["note"], "third")
        self.assertEqual(Directory(self.path).state(11)["note"], "edited")

    def test_a_damaged_end_before_a_later_group_is_damage(self):
        content, last = self.small(records=4)
        second = header(1) + record(1)
        changed = content.replace(b'"seq":2', b'"seq":2\n')
        self.write("journal-1.jsonl", changed)
        error = self.refused()
        self.assertEqual((error.line, error.byte), (3, len(second)))
        # But records of one write may be there in any part.
        group = header(1) + record(1) + record(2) + record(3, group=2) + record(4, group=2)
        self.write("journal-1.jsonl", group.replace(record(3, group=2), record(3, group=2)[:20] + b"\n" * 60))
        directory = Directory(self.path)
        self.assertEqual((directory.state()["text"], directory.torn.line), ("v2", 4))

    def test_only_the_last_segment_may_be_torn(self):
        content, last = self.small()
        self.write("journal-1.jsonl", content[:-9] + b"\n" * 9)
        self.write("snapshot-3.json", snapshot(3))
        self.write("journal-4.jsonl", header(4, 1))
        self.assertEqual((self.refused().line, self.refused().byte), (4, last))
        # Nobody needs it for what the newer snapshot has.
        self.assertEqual(self.text(), "v3")

    def test_a_missing_segment_is_named(self):
        self.fixture()
        os.remove(self.path / "journal-4.jsonl")
        error = self.refused(MissingFileError)
        self.assertEqual(error.file, str(self.path / "journal-4.jsonl"))
        self.assertEqual((error.expected, error.found), ("a journal after version 3", "a journal that goes on at 7"))
        self.refused(StateError, version=5)
        self.assertEqual(Directory(self.path).state()["note"], "edited")

    def test_a_missing_segment_behind_the_newest_snapshot_is_named(self):
        self.write("snapshot-0.json", snapshot(0))
        self.write("journal-1.jsonl", header(1) + record(1))
        self.write("journal-3.jsonl", header(3, 2) + record(3))
        for read in (Directory(self.path).state, Directory(self.path).versions, lambda: list(Directory(self.path).events())):
            with self.assertRaises(MissingFileError) as error:
                read()
            self.assertEqual(error.exception.file, str(self.path / "journal-2.jsonl"))

    def test_a_header_of_another_segment_is_damage(self):
        content, _ = self.small()
        for other in (header(2), header(1, 0)[:-2] + b"\n", sealed('"format":1,"first":1,"follows":1,"time":0}')):
            self.write("journal-1.jsonl", other + content[len(header(1)) :])
            self.assertEqual((self.refused().line, self.refused().byte), (1, 0))

    def test_a_segment_that_ends_too_early_is_named(self):
        self.fixture()
        lines = self.read("journal-4.jsonl").split(b"\n")
        self.write("journal-4.jsonl", b"\n".join(lines[:3]) + b"\n\n")
        error = self.refused(MissingFileError)
        self.assertEqual((error.file, error.expected), (str(self.path / "journal-4.jsonl"), "records up to 6"))

    def test_a_damaged_snapshot_gives_way_to_an_older_one(self):
        directory = Directory(self.fixture())
        expected = directory.document()
        self.change("snapshot-6.json", b'"crc":"1dfa4a52"', b'"crc":"1dfa4a53"')
        with self.assertWarnsRegex(
            SkippedSnapshotWarning, r"snapshot-6.json:9 \(byte \d+\): expected checksum 1dfa4a53, found checksum 1dfa4a52"
        ):
            self.assertEqual(Directory(self.path).document(), expected)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            # This one needs it not.
            Directory(self.path).document(5)

    def test_a_damaged_snapshot_without_an_older_one_is_damage(self):
        self.small()
        self.change("snapshot-0.json", b"v0", b"v1")
        error = self.refused()
        self.assertEqual((error.file, error.line), (str(self.path / "snapshot-0.json"), 3))
        content = self.read("snapshot-0.json")
        self.write("snapshot-0.json", content[:-1])
        self.assertEqual(self.refused().expected, "a last line with the checksum of the snapshot")

    def test_a_missing_snapshot_is_named(self):
        self.fixture()
        for version in (0, 3, 6):
            os.remove(self.path / f"snapshot-{version}.json")
        error = self.refused(MissingFileError)
        self.assertEqual(error.file, str(self.path / "snapshot-0.json"))

    def test_a_snapshot_needs_the_segment_that_was_begun_with_it(self):
        self.fixture()
        os.remove(self.path / "journal-7.jsonl")
        error = self.refused(MissingFileError)
        self.assertEqual(error.file, str(self.path / "journal-7.jsonl"))

    def test_files_under_another_name_are_refused(self):
        self.fixture()
        os.rename(self.path / "snapshot-3.json", self.path / "snapshot-03.json")
        self.assertEqual(self.refused(MissingFileError).found, "snapshot-03.json")
        os.rename(self.path / "snapshot-03.json", self.path / "snapshot-7.json")
        self.assertEqual(self.refused(MissingFileError).found, "that of 3")

    def test_a_newer_format_isnt_taken_for_damage(self):
        self.small()
        self.write("journal-1.jsonl", sealed('"format":2,"first":1}'))
        self.assertEqual(self.refused(NewerFormatError).format, 2)

    def test_members_that_nobody_knows_are_refused(self):
        content, _ = self.small()
        strange = sealed('"seq":4,"time":1,"cause":{"_class":"Edit"},"unheard":1,"patch":[]}')
        self.write("journal-1.jsonl", content + strange)
        self.assertIn("unheard", self.refused().found)
        self.write("journal-1.jsonl", content)
        text = self.read("snapshot-0.json").replace(b'"timers":{}', b'"timers":{},"unheard":{}')[:-20]
        self.write("snapshot-0.json", text + b',\n"crc":"%08x"}\n' % crc32c(text))
        self.assertIn("unheard", self.refused().found)

    def test_records_that_dont_fit_are_refused_with_their_place(self):
        content, _ = self.small()
        wrong = [
            ([{"op": "replace", "path": "/state/nothing", "value": 1}], "another one: expected something at '/state/nothing'"),
            ([{"op": "remove", "path": "/state/list/0"}], "another one"),
            ([{"op": "add", "path": "/state/text/0", "value": 1}], "another one"),
            ([{"op": "move", "path": "/state/text", "from": "/x"}], ""),
            ([{"op": "add", "path": "/state/text"}], ""),
            ("patch", ""),
        ]
        for patch, found in wrong:
            self.write("journal-1.jsonl", content + record(4, patch=patch))
            error = self.refused()
            self.assertEqual((error.line, error.byte), (5, len(content)))
            self.assertIn(found, error.found)
        for body in ('"seq":4,"cause":{},"patch":[]}', '"seq":4', '"seq":4,"time":1,"time":1,"cause":{},"patch":[]}'):
            self.write("journal-1.jsonl", content + sealed(body))
            self.assertEqual(self.refused().line, 5)

    def test_a_number_that_isnt_next_is_refused(self):
        content, _ = self.small()
        self.write("journal-1.jsonl", content + record(5))
        error = self.refused()
        self.assertEqual((error.line, error.expected, error.found), (5, "sequence number 4", "5"))

    def test_versions_that_arent_kept_or_there_yet(self):
        self.fixture()
        for name in ("snapshot-0.json", "journal-1.jsonl"):
            os.remove(self.path / name)
        directory = Directory(self.path)
        self.assertEqual(directory.versions(), range(3, 12))
        self.assertEqual([event.version for event in directory.events()], list(range(4, 12)))
        self.assertEqual([event.version for event in directory.events(after=3)], list(range(4, 12)))
        for read in (directory.state, directory.events):
            with self.assertRaises(NotKeptError) as old:
                read(2)
            self.assertEqual((old.exception.version, old.exception.oldest), (2, 3))
        for read in (directory.state, lambda after: list(directory.events(after))):
            with self.assertRaises(NotYetError) as new:
                read(12)
            self.assertEqual((new.exception.version, new.exception.newest), (12, 11))

    def test_where_there_is_no_state(self):
        for path in (self.path, self.path / "nowhere", self.path / "classes.json"):
            directory = Directory(path)
            for read in (directory.state, directory.versions, directory.events, directory.follow):
                with self.subTest(path=path), self.assertRaises(NoStateError):
                    read()
