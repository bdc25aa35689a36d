# SPDX-License-Identifier: Apache-2.0
"""tools/gpu_check.sh from end to end over programs on the host runtime: the order of stages, the budget,
what a failure stops, and the page.

    gpu_check_test.py SOURCE_FOLDER PROGRAMS_FOLDER
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

PROGRAMS = pathlib.Path(sys.argv.pop())
ROOT = pathlib.Path(sys.argv.pop())
sys.path.insert(0, str(ROOT / "tools/gpu_check"))

import page  # noqa: E402  pylint: disable=wrong-import-position

ON_HOST_RUNTIME = ("funnel-bench", "funnel-pretrain")
STAGES = ["environment", "correctness", "sanitizers", "repetition", "attention", "products", "step", "transformers",
          "training"]
FAILING_REPORT = {"tests": 1, "testsuites": [{"name": "Matmul", "testsuite": [{"name": "Planted", "failures": [{}]}]}]}


class GpuCheck(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.home = pathlib.Path(cls.folder.name)
        text, vocabulary = cls.home / "pages.txt", cls.home / "vocab.txt"
        text.write_text("".join((ROOT / "docs" / name).read_text() for name in ("01-what-is-trained.md", "08-electra.md")))
        shard = PROGRAMS / "funnel-shard"
        for command in ([shard, "vocab", "--size", "300", "--output", vocabulary, text],
                        [shard, "build", "--vocab", vocabulary, "--seq-len", "16", "--output", cls.home / "shards", text]):
            subprocess.run(command, check=True, capture_output=True)

    def setUp(self):
        self.case = self.home / self.id().rsplit(".", 1)[-1]
        self.programs = self.case / "bin"
        self.programs.mkdir(parents=True)
        for name in (*ON_HOST_RUNTIME, "conformance", "device_test", "backend_test"):
            (self.programs / name).symlink_to(PROGRAMS / ("host-runtime" if name in ON_HOST_RUNTIME else ".") / name)
        self.page = self.case / "page.md"

    def replace(self, name, script):
        (self.programs / name).unlink()
        (self.programs / name).write_text("#!/bin/sh\n" + script)
        (self.programs / name).chmod(0o755)

    def check(self, *arguments, out=True, runtime=""):
        command = [ROOT / "tools/gpu_check.sh", "--programs", self.programs, "--work", self.case / "work", "--sizes", "tiny",
                   "--data", self.home / "shards", "--host-runtime", *(("--out", self.page) if out else ()), *arguments]
        environment = {**os.environ, "FUNNEL_CUDACPU": runtime, "OMP_NUM_THREADS": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1",
                       "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    def stages(self):
        return json.loads((self.case / "work/results.json").read_text())["stages"]

    def test_all_stages_pass_and_are_told(self):
        result = self.check()
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual(list(self.stages()), STAGES)
        text = self.page.read_text()
        self.assertIn("**Made on the tests' host runtime, not on a GPU: no number here is one of a device.**", text)
        self.assertIn("# funnel host runtime (no GPU)", text)
        self.assertRegex(text, r"\| copy of 1 MiB \| u8 \| [\d.]+ \| \d+ GB/s \|")
        self.assertRegex(text, r"\| backend_test \| 3 \| 0 \|")
        self.assertIn("- primitives: mma adds: rounded", text)
        self.assertRegex(text, r"\| 16 to 16 \| forward \| f32 \| [\d.]+ \| [\d.]+ \| [\d.]+ \| [\d.]+ % \|")
        self.assertRegex(text, r"\| vocabulary 4x512x16 \| forward \| f32 \|")
        self.assertRegex(text, r"\| B1-1-1H16 \| BF16 \| 2 \|")
        self.assertRegex(text, r"Two runs from one seed gave the same \d+ checkpoint files")
        self.assertRegex(text, r"4 steps of a tiny model: loss [\d.]+ to [\d.]+; the first steps are within [\d.]+e-")

    def test_what_is_wrong_is_not_timed(self):
        report = json.dumps(FAILING_REPORT)
        self.replace("backend_test", f"for a; do case $a in --gtest_output=json:*) echo '{report}' > ${{a#*json:}};; esac; done\nexit 1\n")
        result = self.check("--stages", "environment,correctness,attention,products")
        self.assertEqual(result.returncode, 1)
        stages = self.stages()
        self.assertEqual({name: stage["state"] for name, stage in stages.items()},
                         {"environment": "passed", "correctness": "failed", "attention": "passed", "products": "failed"})
        self.assertEqual(stages["products"]["failures"], ["not timed: 1 of its tests fail, Matmul.Planted first"])
        self.assertIn("- FAILED: backend_test: 1 of 1 failed, Matmul.Planted first", self.page.read_text())
        self.assertIn("- failed: `Matmul.Planted`", self.page.read_text())

    def test_a_stage_ends_with_its_time(self):
        self.replace("conformance", "exec sleep 60\n")
        result = self.check("--stages", "correctness", "--minutes", "0.03")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(self.stages()["correctness"]["state"], "out of time")
        self.assertIn("| correctness | out of time |", self.page.read_text())

    def test_a_later_call_adds_to_the_page(self):
        self.assertEqual(self.check("--stages", "environment").returncode, 0)
        self.assertEqual(self.check("--stages", "sanitizers").returncode, 0)
        self.assertIn("## Machine and ceilings", self.page.read_text())
        self.assertIn("- not run: the host runtime has checkers of its own", self.page.read_text())

    def test_without_a_device(self):
        result = self.check(runtime="devices=0")
        self.assertEqual(result.returncode, 77, result.stdout + result.stderr)
        self.assertIn("no CUDA device is visible on this machine", result.stdout)
        self.assertFalse(self.page.exists())

    def test_wrong_usage(self):
        self.assertIn("--host-runtime needs --out", self.check(out=False).stderr)
        self.assertIn("no stage is called speed", self.check("--stages", "speed").stderr)
        result = self.check("--programs", self.case)
        self.assertEqual(result.returncode, 2)
        self.assertIn("found no funnel-bench in", result.stderr)


class Page(unittest.TestCase):
    """Worked numbers."""

    def test_a_floor_is_the_larger_of_two(self):
        rates = {"copy": 1e12, "f32": 1e13}
        self.assertAlmostEqual(page.floor_ms({"dtype": "f32", "flops": 2e10, "bytes": 1e9}, rates), 2.0)
        self.assertAlmostEqual(page.floor_ms({"dtype": "f32", "flops": 2e10, "bytes": 5e9}, rates), 5.0)
        self.assertIsNone(page.floor_ms({"dtype": "bf16", "flops": 1, "bytes": 1}, {"copy": None}))

    def test_what_was_not_timed_has_no_number(self):
        row = {"name": "x", "part": "forward", "dtype": "f32", "path": "", "flops": 1, "bytes": 1}
        (cells,) = page.measured_rows([row], {"copy": 1.0, "f32": 1.0})
        self.assertEqual(cells, ["x", "forward", "f32", "WRONG, not timed", "", "", ""])

    def test_a_page_of_nothing(self):
        self.assertTrue(re.match("# unknown device\n", page.text({"stages": {}}, False)))


if __name__ == "__main__":
    unittest.main()
