"""Events as a table of pandas, where it is installed."""

import unittest

from amiko_journal import Directory, frame

from .directories import HAS_PANDAS, Case, header, sealed, snapshot


@unittest.skipUnless(HAS_PANDAS, "pandas isn't installed")
class Frame(Case):
    def test_a_row_for_each_event(self):
        table = frame(Directory(self.fixture()).events())
        self.assertEqual(list(table["version"]), list(range(1, 12)))
        self.assertEqual(str(table["time"].dt.tz), "UTC")
        self.assertEqual(table["time"].iloc[4].isoformat(), "1970-01-01T00:00:03+00:00")
        self.assertEqual(table["rejected"].dtype, bool)
        self.assertEqual(list(table.loc[table["rejected"], "version"]), [6])
        self.assertEqual(table.groupby("message")["version"].count()["Create"], 3)
        self.assertEqual(table["changes"].dtype.kind, "i")
        self.assertEqual(table["paths"].iloc[9], ["/state/note"])
        self.assertEqual(table["cause"].iloc[9], "Edit")

    def test_no_events(self):
        table = frame([])
        self.assertEqual((len(table), "time" in table.columns, table["rejected"].dtype), (0, True, bool))

    def test_a_time_beyond_all_calendars(self):
        self.write("snapshot-0.json", snapshot(0))
        events = [
            f'"seq":{number},"time":{time},"cause":{{"_class":"Edit"}},"patch":[]}}' for number, time in ((1, 1), (2, 2**64 - 1))
        ]
        self.write("journal-1.jsonl", header(1) + b"".join(map(sealed, events)))
        table = frame(Directory(self.path).events())
        self.assertEqual(list(table["time"].isna()), [False, True])
