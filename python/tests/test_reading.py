"""Good directories: states, versions and events."""

import copy
import json
import math
import os
import random
import warnings

from amiko_journal import Directory, Float, NothingHiddenWarning, rows, write
from amiko_journal._checksum import crc32c
from amiko_journal._text import parse

from . import directories
from .directories import FORMAT_1, Case, header, record, snapshot


class Reading(Case):
    def test_the_state_of_every_version_is_the_one_that_the_node_had(self):
        directory = Directory(self.fixture())
        expected = (FORMAT_1 / "documents.jsonl").read_text(encoding="utf-8").splitlines()
        self.assertEqual(directory.versions(), range(12))
        for version, text in enumerate(expected):
            document = json.loads(text)
            self.assertEqual(directory.document(version), document)
            self.assertEqual(directory.state(version), document["state"])
        self.assertEqual(directory.state(), document["state"])

    def test_events_lead_from_each_version_to_the_next(self):
        directory = Directory(self.fixture())
        document = directory.document(0)
        for event in directory.events():
            event.apply(document)
            self.assertEqual(document, directory.document(event.version))
        self.assertEqual(document["seq"], 11)
        self.assertEqual([event.version for event in directory.events(after=5)], [6, 7, 8, 9, 10, 11])
        self.assertEqual(list(directory.events(after=11)), [])

    def test_an_event_says_when_and_why_it_was_and_what_it_changed(self):
        events = list(Directory(self.fixture()).events())
        change, rejected, timer = events[4], events[5], events[7]
        self.assertEqual((change.version, change.time), (5, 3000))
        self.assertEqual(change.at.isoformat(), "1970-01-01T00:00:03+00:00")
        self.assertEqual((change.cause_class, change.kind, change.id, change.message_class), ("Message", "thing", "~a/b", "Change"))
        self.assertEqual(rejected.rejected, 'no "reason" (in Reject to thing ~a/b)')
        self.assertEqual((rejected.kind, rejected.id, rejected.message_class), (None, None, None))
        self.assertEqual(timer.paths, ["/state/things/~0a~1b/maybe", "/timers/thing~1~00a~01b~1late"])
        lines = [line for line in self.read("journal-4.jsonl").decode().split("\n") if line][1:]
        self.assertEqual([json.loads(line)["cause"] for line in lines], [event.cause for event in events[3:6]])
        self.assertIn(write(rejected.to_dict())[1:], lines[2])

    def test_rows_are_a_table_of_events(self):
        table = rows(Directory(self.fixture()).events())
        self.assertEqual(len(table), 11)
        at = table[5].pop("time")
        self.assertEqual(at.timestamp(), 3)
        reason = 'no "reason" (in Reject to thing ~a/b)'
        paths = ["/connections/peer~11/received"]
        expected = {"version": 6, "cause": "Message", "kind": None, "id": None, "message": None, "rejected": True, "reason": reason}
        self.assertEqual(table[5], {**expected, "changes": 1, "paths": paths})

    def test_nothing_is_written(self):
        self.fixture()
        before = {name: self.read(name) for name in self.names()}
        directory = Directory(self.path)
        directory.state()
        list(directory.events())
        self.assertEqual({name: self.read(name) for name in self.names()}, before)

    def test_what_applying_changes_isnt_the_event(self):
        self.write("snapshot-0.json", snapshot(0))
        added = [{"op": "add", "path": "/state/list", "value": []}]
        pushed = [{"op": "add", "path": "/state/list/-", "value": 1}]
        self.write("journal-1.jsonl", header(1) + record(1, patch=added) + record(2, patch=pushed))
        directory = Directory(self.path)
        first, second = directory.events()
        document = directory.document(0)
        first.apply(document)
        second.apply(document)
        self.assertEqual((document["state"]["list"], first.patch), ([1], added))

    def test_operations_of_a_patch(self):
        state = {"list": [1, 2, 3], "map": {"a/b": 1, "~1": 2}}
        self.write("snapshot-0.json", snapshot(0, state))
        patch = [
            {"op": "add", "path": "/state/list/1", "value": "one"},
            {"op": "remove", "path": "/state/list/0"},
            {"op": "add", "path": "/state/list/-", "value": None},
            {"op": "replace", "path": "/state/list/1", "value": {}},
            {"op": "replace", "path": "/state/map/a~1b", "value": []},
            {"op": "remove", "path": "/state/map/~01"},
            {"op": "add", "path": "/state/map/a~1b/0", "value": True},
        ]
        self.write("journal-1.jsonl", header(1) + record(1, patch=patch))
        self.assertEqual(Directory(self.path).state(), {"list": ["one", {}, 3, None], "map": {"a/b": [True]}})

    def test_numbers_keep_every_digit(self):
        text = '{"a":18446744073709551616,"b":1.50,"c":1e16,"d":-0.0,"e":-0,"f":1E+2,"g":1e400,"h":0.1,"i":' + "9" * 400 + "}"
        value = parse(text)
        self.assertEqual(write(value), text)
        self.assertEqual((value["a"], value["b"] * 2, value["g"]), (2**64, 3.0, math.inf))
        self.assertEqual(write(copy.deepcopy(value)), text)
        self.assertIsInstance(value["b"], Float)

    def test_what_a_reader_of_amiko_refuses_is_refused(self):
        wrong = [
            '{"a":1,"a":1}', "NaN", "-Infinity", "[1,]", "01", '"\t"', '"\\ud800"', '{"a":"\\udc00\\ud800"}', '"a', "", "1 2",
            "1" * 401, "[" * 129 + "]" * 129, "[" * 100_000, '{"a":' * 129 + "1" + "}" * 129, "\ufeff1", "1.", ".5", "+1",
        ]  # fmt: skip
        for text in wrong:
            with self.subTest(text[:20]), self.assertRaises(ValueError):
                parse(text)
        for text in ['"\\ud83e\\udd80"', "[" * 128 + "]" * 128, "[" + "{}," * 200 + "{}]", "1" * 400, '" \\u0000"']:
            parse(text)

    def test_text_is_written_as_amiko_writes_it(self):
        text = '"\\"\\\\/\\n\\r\\t\\u0008\\u000c\\u0000\\u001f\x7f\u2028é"'
        self.assertEqual(write(parse(text)), text)
        self.assertEqual(write({"a": [], "b": {}, "c": [None, True, False]}), '{"a":[],"b":{},"c":[null,true,false]}')

    def test_the_checksum_is_that_of_castagnoli(self):
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)
        self.assertEqual(crc32c(bytes(32)), 0x8A9136AA)
        numbers = random.Random(1)
        for length in [*range(20), *range(140, 180), 1000, 1001, 1002, 1003, 20_000]:
            data = bytes(numbers.randrange(256) for _ in range(length))
            self.assertEqual(crc32c(data), directories.crc32c(data))

    def test_secrets_are_hidden_as_classes_json_says(self):
        classes = {
            "Note": {"text": "secret string", "pair": "class Pair", "open": "string"},
            "Pair": {"0": "secret string", "1": "u8"},
            "Other": {"next": {"type": "option of secret bytes", "next": []}},
        }
        self.write("classes.json", json.dumps({"secrets": ["hand"], "machines": {}, "classes": classes}))
        pair = {"_class": "Pair", "0": "hush", "1": 7}
        state = {"_class": "Note", "text": "hush", "pair": pair, "open": {"hand": ["hush"], "next": "hush", "0": "seen"}}
        self.write("snapshot-0.json", snapshot(0, {**state, "_class": "Note"}))
        patches = [
            [{"op": "replace", "path": "/state/text", "value": "hush"}],
            [{"op": "add", "path": "/state/pair/0", "value": "hush"}],
            [{"op": "remove", "path": "/state/open/hand/0"}],
            [{"op": "replace", "path": "/state/open", "value": {"hand": "hush", "seen": 1}}],
            [{"op": "add", "path": "/state/text2", "value": {"_class": "Answer", "reply": "hush", "at": 1}}],
        ]
        records = [record(1 + number, patch=patch) for number, patch in enumerate(patches)]
        self.write("journal-1.jsonl", header(1) + b"".join(records))
        directory = Directory(self.path)
        hidden = {"hand": "(secret)", "next": "(secret)", "0": "seen"}
        self.assertEqual(directory.state(0), {"_class": "Note", "text": "(secret)", "pair": "(secret)", "open": hidden})
        shown = [event.patch for event in directory.events()]
        self.assertNotIn("hush", write(shown))
        self.assertEqual(shown[1], [{"op": "replace", "path": "/state/pair", "value": "(secret)"}])
        self.assertEqual(shown[3][0]["value"], {"hand": "(secret)", "seen": 1})
        self.assertEqual(shown[4][0]["value"], {"_class": "Answer", "reply": "(secret)", "at": 1})
        everything = Directory(self.path, secrets=True)
        self.assertEqual(everything.state(0), state)
        self.assertEqual([event.patch for event in everything.events()], patches)

    def test_it_says_so_once_if_nothing_is_known_to_be_secret(self):
        self.fixture()
        os.remove(self.path / "classes.json")
        directory = Directory(self.path)
        with self.assertWarnsRegex(NothingHiddenWarning, "expected .*classes.json"):
            directory.state()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            directory.state()
            Directory(self.path, secrets=True).state()
