"""Directories to read: copies of the one that the first version of the format wrote, and some that are written here."""

import importlib.util
import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path

FORMAT_1 = Path(__file__).parent.parent.parent / "amiko-core" / "tests" / "fixtures" / "format-1"
# Where it has to be there, its tests fail without it.
HAS_PANDAS = importlib.util.find_spec("pandas") is not None or os.environ.get("AMIKO_PANDAS") == "yes"
NOTHING_SECRET = '{"secrets":[],"machines":{},"classes":{}}'


def crc32c(data):
    """The definition, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def sealed(body):
    """A journal line, with its newline."""
    body = body if isinstance(body, bytes) else body.encode()
    return b'{"crc":"%08x",' % crc32c(body) + body + b"\n"


def record(sequence, value=None, group=None, patch=None):
    """A line that sets the text of the state."""
    patch = [{"op": "replace", "path": "/state/text", "value": value or f"v{sequence}"}] if patch is None else patch
    group = "" if group is None else f'"group":{group},'
    return sealed(f'{group}"seq":{sequence},"time":{sequence * 1000},"cause":{{"_class":"Edit"}},"patch":{json.dumps(patch)}}}')


def header(first, previous=None):
    """The first line of a segment."""
    previous = "" if previous is None else f'"previous":{previous},'
    return sealed(f'"format":1,"first":{first},"follows":{first - 1},{previous}"time":{(first - 1) * 1000}}}')


def snapshot(sequence, state=None):
    """The bytes of a snapshot."""
    state = json.dumps(state or {"_class": "Note", "text": f"v{sequence}"})
    text = f'{{"format":1,"seq":{sequence},"schema":"00","state":{state},\n"timers":{{}},\n"connections":{{}}'.encode()
    return text + b',\n"crc":"%08x"}\n' % crc32c(text)


class Case(unittest.TestCase):
    """A test with a directory of its own."""

    def setUp(self):
        self.path = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.path)
        self.write("classes.json", NOTHING_SECRET)

    def fixture(self):
        """Versions 0 to 11, with snapshots of 0, 3 and 6."""
        for file in (FORMAT_1 / "directory").iterdir():
            shutil.copy(file, self.path)
        return self.path

    def write(self, name, content):
        content = content.encode() if isinstance(content, str) else content
        (self.path / name).write_bytes(content)

    def read(self, name):
        return (self.path / name).read_bytes()

    def change(self, name, old, new):
        """Changes the only place of some bytes, and gives its offset."""
        content = self.read(name)
        self.assertEqual(content.count(old), 1, f"{old!r} in {name}")
        self.write(name, content.replace(old, new))
        return content.index(old)

    def names(self):
        return sorted(os.listdir(self.path))
