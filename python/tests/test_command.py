"""The command: what it prints, and its exit codes."""

import os
import subprocess
import sys
import threading
from pathlib import Path

from amiko_journal._text import parse

from .directories import FORMAT_1, Case, header, record, snapshot

SOURCE = str(Path(__file__).parent.parent / "src")


class Command(Case):
    def run_it(self, *arguments):
        return subprocess.run(self.command(*arguments), env=self.environment(), capture_output=True, encoding="utf-8", timeout=60)

    def command(self, *arguments):
        return [sys.executable, "-m", "amiko_journal", *map(str, arguments)]

    def environment(self):
        environment = {**os.environ, "PYTHONPATH": SOURCE, "LC_ALL": "C"}
        # Otherwise everything is written at once.
        environment.pop("PYTHONUNBUFFERED", None)
        return environment

    def test_events_one_a_line(self):
        done = self.run_it(self.fixture(), "--after", 8)
        self.assertEqual(
            done.stdout,
            "       9  1970-01-01T00:00:10.000Z  Command Remove → node  - things/second\n"
            '      10  1970-01-01T00:00:11.000Z  Edit  note = "edited"\n'
            "      11  1970-01-01T00:00:12.000Z  Conflict peer/1  connections/peer~11/conflict = "
            '{"_class":"Conflict","found":12000,"olde…\n',
        )
        self.assertEqual((done.stderr, done.returncode), ("", 0))

    def test_events_as_json(self):
        lines = self.run_it(self.fixture(), "--json").stdout.splitlines()
        self.assertEqual([parse(line)["seq"] for line in lines], list(range(1, 12)))

    def test_the_document_at_a_version(self):
        expected = (FORMAT_1 / "documents.jsonl").read_text(encoding="utf-8").splitlines()
        for version, at in ((4, 4), (11, "newest")):
            done = self.run_it(self.fixture(), "--at", at, "--json")
            self.assertEqual(parse(done.stdout), parse(expected[version]))
        lines = self.run_it(self.path, "--at", 4).stdout.splitlines()
        self.assertIn('      color: "Green"', lines)
        self.assertIn("seq: 4", lines)

    def test_nothing_on_a_screen_moves_a_cursor(self):
        self.write("snapshot-0.json", snapshot(0, {"_class": "Note", "\u202e": "\x9b2J"}))
        self.write("journal-1.jsonl", header(1) + record(1, "\x1b[2J\u2028\x85"))
        for arguments in ((), ("--at", 0)):
            shown = self.run_it(self.path, *arguments).stdout
            self.assertTrue(shown.replace("\n", "").isprintable(), repr(shown))

    def test_exit_codes(self):
        self.fixture()
        self.assertEqual(self.run_it(self.path, "--at", 12).returncode, 3)
        self.assertEqual(self.run_it(self.path / "nowhere").returncode, 3)
        self.assertEqual(self.run_it(self.path, "--at", "x").returncode, 2)
        self.assertEqual(self.run_it(self.path, "--at", 1, "--follow").returncode, 2)
        self.change("journal-7.jsonl", b"edited", b"Edited")
        damaged = self.run_it(self.path)
        self.assertEqual(damaged.returncode, 4)
        self.assertRegex(damaged.stderr, r"^amiko_journal: .*journal-7\.jsonl:5 \(byte \d+\): expected checksum c509d1a2, found")

    def test_a_torn_end_is_reported(self):
        self.write("snapshot-0.json", snapshot(0))
        self.write("journal-1.jsonl", header(1) + record(1) + record(2)[:50])
        for arguments in ((), ("--at", "newest")):
            done = self.run_it(self.path, *arguments)
            self.assertRegex(done.stderr, r"journal-1\.jsonl:3 \(byte \d+\): left out 50 bytes")
            self.assertEqual(done.returncode, 0)

    def test_output_that_nobody_reads_or_that_cant_be_written(self):
        self.fixture()
        with subprocess.Popen(
            self.command(self.path), env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child:
            child.stdout.close()
            self.assertEqual((child.stderr.read(), child.wait(60)), (b"", 0))
        if os.path.exists("/dev/full"):
            with open("/dev/full", "wb") as full:
                done = subprocess.run(
                    self.command(self.path), env=self.environment(), stdout=full, stderr=subprocess.PIPE, timeout=60
                )
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"amiko_journal: can't write: ", done.stderr)

    def test_it_follows_until_it_is_stopped(self):
        self.write("snapshot-0.json", snapshot(0))
        self.write("journal-1.jsonl", header(1) + record(1) + b"\n" * 1000)
        with subprocess.Popen(self.command(self.path, "--follow"), env=self.environment(), stdout=subprocess.PIPE) as child:
            deadline = threading.Timer(60, child.kill)
            deadline.start()
            try:
                self.assertIn(b" v1", child.stdout.readline().replace(b'"', b" "))
                with open(self.path / "journal-1.jsonl", "r+b") as file:
                    file.seek(len(header(1) + record(1)))
                    file.write(record(2))
                self.assertIn(b" v2", child.stdout.readline().replace(b'"', b" "))
                child.send_signal(2)
                self.assertEqual(child.wait(60), 130)
            finally:
                deadline.cancel()
                child.kill()
