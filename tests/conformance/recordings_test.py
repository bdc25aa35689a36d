# SPDX-License-Identifier: Apache-2.0
"""Holds the conformance program's recordings to what they promise: a recording is compared to the
bit where results are exact, to the stated error where not, and says how mma added; one wrong value,
a damaged file and a recording of the host runtime are refused. A recording made on the host runtime
under another name stands for a device here.

    recordings_test.py CONFORMANCE_PROGRAM
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop()


def run(*arguments, mma="rounded"):
    environment = dict(os.environ, FUNNEL_CUDACPU=f"mma={mma}")
    return subprocess.run([PROGRAM, *arguments], env=environment, capture_output=True, text=True, check=False)


class Recordings(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.file = pathlib.Path(self.folder.name, "device.txt")

    def record(self, mma="rounded", edit=lambda text: text):
        self.assertEqual(run("--record", self.file, mma=mma).returncode, 0)
        text = re.sub("^device .*", "device a device", self.file.read_text(), count=1)
        self.file.write_text(edit(text))

    def compared(self, **options):
        return run("--recorded", self.folder.name, **options)

    def change(self, section, index, change):
        def edit(text):
            head, body = text.split(f"section {section}\n")
            words = list(re.finditer("[0-9a-f]+", body))
            span = words[index].span()
            value = change(int(words[index][0], 16))
            return f"{head}section {section}\n{body[:span[0]]}{value:x}{body[span[1]:]}"

        return edit

    def test_agrees_with_itself(self):
        self.record()
        result = self.compared()
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn("recorded on a device (device.txt), mma adds there: rounded\n", result.stdout)
        self.assertIn("agrees with the recording", result.stdout)

    def test_other_sums_agree_and_are_told_apart(self):
        for mma in ("ordered", "truncated"):
            self.record(mma=mma)
            result = self.compared()
            self.assertEqual(result.returncode, 0, result.stdout)
            self.assertIn(f"mma adds there: {mma}", result.stdout)

    def test_one_wrong_bit_of_an_exact_result(self):
        self.record(edit=self.change("fma f32", 40, lambda bits: bits ^ 1))
        result = self.compared()
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stdout, r"fma f32 .*1 WRONG; value 40")

    def test_an_approximate_result_may_differ_a_little(self):
        self.record(edit=self.change("ex2.approx", 5, lambda bits: bits + 2))
        self.assertEqual(self.compared().returncode, 0)
        self.record(edit=self.change("ex2.approx", 5, lambda bits: bits + 20))
        self.assertEqual(self.compared().returncode, 1)

    def test_no_recording(self):
        result = self.compared()
        self.assertEqual(result.returncode, 0)
        self.assertIn("no device recording yet", result.stdout)

    def test_the_host_runtime_is_no_device(self):
        run("--record", self.file)
        result = self.compared()
        self.assertEqual(result.returncode, 2)
        self.assertIn("expected the recording of a device", result.stderr)

    def test_damaged_files(self):
        self.record(edit=lambda text: text[: len(text) // 2])
        self.assertEqual(self.compared().returncode, 2)
        self.record(edit=lambda text: text.replace("section shuffles", "section of old"))
        result = self.compared()
        self.assertEqual(result.returncode, 2)
        self.assertIn("expected section shuffles, found of old", result.stderr)
        self.record(edit=lambda text: text.replace("section shuffles\n", "section shuffles\nxyz\n"))
        self.assertIn("expected hexadecimal numbers", self.compared().stderr)


if __name__ == "__main__":
    unittest.main()
