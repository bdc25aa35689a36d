# SPDX-License-Identifier: Apache-2.0
"""Each reader of tools/corpus on a file of its format made here, byte by byte from the format's
description, and the sentence rule on sentences with known ends."""

import gzip
import io
import pathlib
import struct
import sys
import tempfile
import unittest
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools" / "corpus"))
import extract  # noqa: E402
import readers  # noqa: E402


class Readers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)

    def test_dictd(self):
        file = self.path / "x.dict.dz"
        file.write_bytes(
            gzip.compress(
                b"00-database-short\n   A dictionary\n\n"
                b"Allomorph \\Al`lo*morph\\, n. (Min.)\n   1. A variety of [L. x [y]] {pseudomorph}\n"
                b"      which has changed.\n      [1913 Webster]\n\n   2. Another sense.\n\n"
                b"Allonym \\Al\"lo*nym\\, n.\n   A false name.\n"
            )
        )
        self.assertEqual(
            list(readers.read_dictd(file)),
            [["Allomorph: A variety of pseudomorph which has changed.", "Another sense.", "Allonym: A false name."]],
        )

    def test_rdata(self):
        def chunk(lines):
            data = b"X\n" + struct.pack(">iiii", 3, 0x40201, 0x30500, 5) + b"UTF-8"
            data += struct.pack(">ii", 16, len(lines))
            for line in lines:
                data += struct.pack(">ii", 0x40009, len(line)) + line
            return struct.pack(">i", len(data)) + zlib.compress(data)

        novel = [b"EMMA", b"", b"CHAPTER I", b"", b"Emma was", b"_clever_.", b"", b"CHAPTER II", b"", b"The end."]
        file = self.path / "Rdata.rdb"
        file.write_bytes(chunk(novel) + chunk([b"Another."]))
        self.assertEqual(
            list(readers.read_rdata(file)), [["EMMA"], ["Emma was clever."], ["The end."], ["Another."]]
        )

    def test_sword(self):
        block = zlib.compress(
            b'<chapter n="1" sID="a"/><div sID="1"/>First &amp; <hi>best</hi>.<div eID="1"/>Second.'
            b'<chapter n="2" sID="b"/><title>Third.</title>'
        )
        (self.path / "ot.czz").write_bytes(b"...." + block)
        (self.path / "ot.czs").write_bytes(struct.pack("<III", 4, len(block), 99) + struct.pack("<III", 0, 0, 0))
        self.assertEqual(
            list(readers.read_sword(self.path)), [["First & best.", "Second."], ["Third."]]
        )

    def test_wordnet(self):
        file = self.path / "wn.dict.dz"
        file.write_bytes(
            gzip.compress(
                b"00-database-short\n     WordNet\n"
                b"dog bite\n    n 1: a bite: inflicted\n           by a dog; \"a bad one\" [syn: {bite}]\n"
                b"      2: another sense\n    v : to bite\nabbey\n    n : a church\n"
            )
        )
        self.assertEqual(
            list(readers.read_wordnet(file)),
            [
                [
                    'dog bite: a bite: inflicted by a dog; "a bad one"',
                    "dog bite: another sense",
                    "dog bite: to bite",
                    "abbey: a church",
                ]
            ],
        )

    def test_html(self):
        (self.path / "translations").mkdir()
        (self.path / "translations/a.html").write_text("<p>Not this.</p>")
        (self.path / "b.html").write_text("<p>Last.")
        (self.path / "a.html").write_text(
            "<html><head><title>No</title></head><body><nav><ul><li>Home</li></ul></nav>"
            "<h1>A &amp; B</h1><p>One <em>para</em>graph,\n two lines.<p>Next<pre>code();</pre>after<br>it"
            "<table><tr><td>x</td><td>y&#233;</td></tr></table><script>if (a < b) run();</script></body></html>"
        )
        self.assertEqual(
            list(readers.read_html(self.path)),
            [["A & B", "One paragraph, two lines.", "Next", "after", "it", "x", "y\u00e9"], ["Last."]],
        )


class Extract(unittest.TestCase):
    def test_sentences(self):
        for text, expected in [
            ("One here. Two here! \"Three?\" Four.", ["One here.", "Two here!", '"Three?"', "Four."]),
            ("Mr. Knightley and Dr. A. B. Perry came. They left.", ["Mr. Knightley and Dr. A. B. Perry came.", "They left."]),
            ("See i.e. This one. That one", ["See i.e. This one.", "That one"]),
            ("no end", ["no end"]),
        ]:
            self.assertEqual(list(extract.sentences(text)), expected)

    def test_documents(self):
        prose = "Five words are enough here. And more."
        out = io.StringIO()
        kept = extract.write_documents([[prose, prose, "too short"], ["1234 5678 9012 3456 7890"], [prose + " New."]], out)
        self.assertEqual(kept, 2)
        self.assertEqual(
            out.getvalue(),
            "Five words are enough here.\nAnd more.\n\nFive words are enough here.\nAnd more.\nNew.\n\n",
        )


if __name__ == "__main__":
    unittest.main()
