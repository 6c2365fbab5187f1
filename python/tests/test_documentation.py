"""The listings of the documentation run, and print what they say."""

import contextlib
import io
import os
import re
import unittest
from pathlib import Path

from .directories import HAS_PANDAS, Case

ROOT = Path(__file__).parent.parent.parent


class Documentation(Case):
    def printed(self, listing):
        (self.path / "bank").mkdir()
        self.path, here = self.path / "bank", self.path
        self.fixture()
        self.path = here
        os.rename(self.path / "classes.json", self.path / "bank" / "classes.json")
        before = os.getcwd()
        os.chdir(self.path)
        self.addCleanup(os.chdir, before)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(listing, "listing", "exec"), {})
        return printed.getvalue()

    def listings(self):
        page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
        return re.findall(r"```python\n(.*?)```.*?```text\n(.*?)```", page, re.DOTALL)

    def test_the_listing_of_the_page(self):
        listing, expected = self.listings()[0]
        self.assertEqual(self.printed(listing), expected)

    @unittest.skipUnless(HAS_PANDAS, "pandas isn't installed")
    def test_the_table_of_the_page(self):
        listing, expected = self.listings()[1]
        lines = [line.rstrip() for line in self.printed(listing).splitlines()]
        self.assertEqual(lines, [line.rstrip() for line in expected.splitlines()])

    def test_the_listing_of_the_readme(self):
        page = (ROOT / "python" / "README.md").read_text(encoding="utf-8")
        (listing,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        printed = self.printed(listing).splitlines()
        self.assertEqual(printed[:2], re.findall(r"^print.*?# (.*)$", listing, re.MULTILINE))
        self.assertEqual(len(printed), 4)
