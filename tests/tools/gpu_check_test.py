# SPDX-License-Identifier: Apache-2.0
"""tools/gpu_check.sh from end to end over programs on the host runtime: the order of stages, the budget,
what a failure stops, and the page.

    gpu_check_test.py SOURCE_FOLDER PROGRAMS_FOLDER
"""

import argparse
import fnmatch
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

PROGRAMS = pathlib.Path(sys.argv.pop())
ROOT = pathlib.Path(sys.argv.pop())
sys.path.insert(0, str(ROOT / "tools/gpu_check"))

import counters  # noqa: E402  pylint: disable=wrong-import-position
import page  # noqa: E402  pylint: disable=wrong-import-position
import predictions  # noqa: E402  pylint: disable=wrong-import-position
import runner  # noqa: E402  pylint: disable=wrong-import-position
from sizes import FULL  # noqa: E402  pylint: disable=wrong-import-position
from stages import NEEDED_FOR, SANITIZED, Stages  # noqa: E402  pylint: disable=wrong-import-position

ON_HOST_RUNTIME = ("funnel-bench", "funnel-pretrain")
STAGES = ["environment", "correctness", "sanitizers", "repetition", "attention", "products", "memory", "step", "counters",
          "transformers", "training"]
FAILING_REPORT = {"tests": 1, "testsuites": [{"name": "Matmul", "testsuite": [{"name": "Planted", "failures": [{}]}]}]}


def tests_of(program):
    """The full names of a program's tests."""
    names, suite = [], ""
    listing = subprocess.run([PROGRAMS / program, "--gtest_list_tests"], capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        if line.startswith("  "):
            names.append(suite + line.split()[0])
        elif line.split(" ")[0].endswith("."):
            suite = line.split()[0]
    return names


class Selections(unittest.TestCase):
    """What no test's name matches would choose nothing, and hold nothing."""

    def test_each_matches_a_test(self):
        programs = {program: tests_of(program) for program in FULL["tests"]}
        names = [name for tests in programs.values() for name in tests]
        for pattern in "|".join(NEEDED_FOR.values()).split("|"):
            self.assertTrue(pattern == "conformance" or any(re.search(pattern, name) for name in names), pattern)
        for pattern in SANITIZED.split(":"):
            self.assertTrue(fnmatch.filter(names, pattern), pattern)
        for program, selection in FULL["tests"].items():
            for pattern in selection.replace(":-", ":").split(":"):
                self.assertTrue(fnmatch.filter(programs[program], pattern), f"{program}: {pattern}")


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
        self.assertRegex(text, r"\| tiny \| vocabulary 4x512x16 \| forward \| 2 \| [\d.]+ \| [\d.]+ \| [\d.]+ \|")
        self.assertRegex(text, r"\| tiny \| T=16 GELU 32x32x16 \| forward \| [\d.]+ \| [\d.]+ \| [\d.]+ \|")
        for name in ("copy of 1 MiB", "residual, dropout, layer norm 32x16", "residual, dropout, layer norm, pooled 32x16",
                     "residual, dropout, layer norm, upsampled 8x16", "embedding of 32 tokens, 512x16",
                     "vocabulary loss, draw, gradient 4x512", r"AdamW of \d+"):
            self.assertRegex(text, rf"\| {name} \| [a-z, ]+ \| (u8|f32|bf16) \| [\d.]+ \| [\d.]+ \| \d+ \| [\d.]+ % \|")
        self.assertRegex(text, r"\d+ of 20 reach the goal of 85 % of a copy")
        self.assertRegex(text, r"\| B1-1-1H16 \| BF16 \| 2 \| .* % \| [\d.]+ \| [\d.]+ \| \d{3,} \|\n")
        self.assertNotIn("predicted", text)
        self.assertRegex(text, r"Two runs from one seed gave the same \d+ checkpoint files")
        self.assertRegex(text, r"4 steps of a tiny model: loss [\d.]+ to [\d.]+; the first steps are within [\d.]+e-")
        self.assertRegex(text, r"2 steps of tiny in bf16 on short sequences: loss [\d.]+ to [\d.]+\.\n")

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
        child = self.case / "child"
        self.replace("conformance", f"sleep 60 &\necho $! > {child}\necho begun\nwait\n")
        result = self.check("--stages", "correctness", "--minutes", "0.03")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(self.stages()["correctness"]["state"], "out of time")
        self.assertIn("begun\n\n[out of time]", (self.case / "work/correctness.log").read_text())
        state = pathlib.Path(f"/proc/{child.read_text().strip()}/stat")
        self.assertTrue(not state.exists() or " Z " in state.read_text())  # nobody may go on with the device
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


# What ncu writes: lines of its own and of the program, then a table; one launch's number is missing.
NCU_TIMES = """==PROF== Connected to process 1
"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
"0","void funnel::cuda::each_kernel<funnel::(anonymous namespace)::Add<float>>(long, T1)","gpu__time_duration.sum","ns","900"
"1","void funnel::fused::key_kernel<64, 1>(funnel::fused::Problem)","gpu__time_duration.sum","ns","7,000"
"2","void funnel::fused::key_kernel<64, 1>(funnel::fused::Problem)","gpu__time_duration.sum","ns","8,000"
"3","void funnel::fused::query_kernel<64, 1>(funnel::fused::Problem)","gpu__time_duration.sum","ns","n/a"
"4","void funnel::fused::table_kernel<64, 1>(funnel::fused::Problem)","gpu__time_duration.sum","ns","9,500"
"""
FAKE_NCU = r"""
case "$*" in
  *--query-metrics*) printf 'Device X\nsm__inst_issued  Counter  inst\nlts__t_sectors  Counter  sector\n'; exit 0 ;;
esac
for a; do case $b in --log-file) file=$a;; --launch-skip) skip=$a;; esac; b=$a; done
if [ -z "$skip" ]; then cat TIMES > "$file"; exit 0; fi
sed -n '2p' TIMES > "$file"
sed -n "s/^\"$skip\",/\"0\",/p" TIMES >> "$file"
tail -1 "$file" | sed 's/gpu__time_duration.sum.*/sm__inst_issued.avg.pct_of_peak_sustained_active","%","62.5"/' >> "$file"
"""


class Counters(unittest.TestCase):
    """The stage that asks ncu, on a stand-in that answers like it: what is asked, chosen and written."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name)
        (self.home / "bin").mkdir()
        for name, text in (("TIMES", NCU_TIMES), ("bin/funnel-bench", "#!/bin/sh\n")):
            (self.home / name).write_text(text)
        self.tool("ncu", FAKE_NCU)

    def tool(self, name, script):
        (self.home / name).write_text("#!/bin/sh\n" + script.replace("TIMES", str(self.home / "TIMES")))
        (self.home / name).chmod(0o755)

    def stage(self):
        options = argparse.Namespace(programs=self.home / "bin", root=ROOT, data=self.home, work=self.home, sizes="full",
                                     host_runtime=False)
        results = {"stages": {"correctness": {"state": "passed", "data": {}}}}
        check = runner.Check(self.home, 1, lambda _: None)
        with unittest.mock.patch.dict(os.environ, {"PATH": f"{self.home}:{os.environ['PATH']}"}):
            check.run("counters", 30, Stages(options, results).counters)
        return check.results["stages"]["counters"]

    def test_the_slowest_launch_of_each_kernel_is_counted(self):
        found = self.stage()
        self.assertEqual((found["state"], found["notes"]), ("passed", []))
        self.assertEqual([(one["kernel"], one["ms"]) for one in found["data"]["kernels"]],
                         [("fused::table_kernel<64, 1>", 0.0095), ("fused::key_kernel<64, 1>", 0.008),
                          ("each_kernel<Add<float>>", 0.0009)])
        log = (self.home / "counters.log").read_text()
        self.assertIn("--clock-control none", log)
        self.assertIn("--launch-skip 2 --launch-count 1", log)
        self.assertIn("--kill yes", log)
        text = page.text({"stages": {"counters": found}}, False)
        self.assertIn("| kernel | ms | issue | L2 |", text)
        self.assertIn("| `fused::table_kernel<64, 1>` | 0.009 | 62.5 % |  |", text)

    def test_what_ncu_may_not_is_noted(self):
        self.tool("ncu", "echo '==ERROR== ERR_NVGPUCTRPERM - The user does not have permission'; exit 1\n")
        found = self.stage()
        self.assertEqual((found["state"], found["notes"]), ("passed", ["ncu gave no times: ERR_NVGPUCTRPERM"]))

    def test_metrics_are_those_of_the_chip(self):
        listing = "dram__throughput  Throughput\nsm__inst_executed_pipe_tensor  Counter  inst\n"
        self.assertEqual(counters.metrics_of(listing),
                         {"tensor pipe": "sm__inst_executed_pipe_tensor.avg.pct_of_peak_sustained_active",
                          "memory": "dram__throughput.avg.pct_of_peak_sustained_elapsed"})


class Page(unittest.TestCase):
    """Worked numbers."""

    def test_stages_take_twenty_minutes_at_the_most(self):
        options = argparse.Namespace(programs="", root=ROOT, data="", work="", sizes="full", host_runtime=False)
        stages = Stages(options, {}).in_order()
        self.assertEqual([name for name, _, _ in stages], STAGES)
        self.assertLessEqual(sum(seconds for _, seconds, _ in stages), 1200)

    def test_predicted_times_stand_beside_measured_ones(self):
        copy = {"name": "copy", "part": "copy", "path": "", "dtype": "u8", "bytes": 3e9, "ms": 1.25}
        norm = {**copy, "name": "norm", "part": "forward", "dtype": "bf16", "bytes": 1.32e9, "ms": 1.0}
        step = {"model": "B4-4-4H768", "precision": "BF16", "batch": 64, "ms": 103.2, "sequences_per_second": 1.0,
                "flops_per_second": 1e12,
                "parts": [{"name": "layer", "calls": 4, "flops": 2e9, "forward_ms": 5.0, "backward_ms": 10.0},
                          {"name": "norm | update", "calls": 1, "flops": 0, "forward_ms": 4.0, "backward_ms": 16.0}]}
        passed = {"state": "passed", "seconds": 1, "notes": [], "failures": []}
        stages = {"environment": {**passed, "data": {"device": "rank 0, NVIDIA H100 80GB HBM3, 80 GB"}},
                  "memory": {**passed, "data": {"models": {"m": [copy, norm]}}}, "step": {**passed, "data": {"steps": [step]}}}
        text = page.text({"stages": stages}, False)
        self.assertIn("| norm | forward | bf16 | 1320.0 | 1.0000 | 1320 | 55.0 % | 0.5000 | 2.00 |", text)
        self.assertIn("0 of 1 reach the goal of 85 % of a copy", text)
        self.assertRegex(text, r"\| B4-4-4H768 .* \| 51.6 \| 2.00 \|")
        self.assertIn("| layer | 4 | 2.00 | 5.000 | 10.000 | 60.00 | 75.0 % |", text)
        self.assertIn("| norm \\| update | 1 |", text)
        self.assertIn("Together 80.0 ms; the step takes 103.2 ms.", text)
        self.assertIn("calculated before a device was at hand", text)

    def test_predictions_by_hand(self):
        figures = predictions.figures_of("NVIDIA H100 80GB HBM3")
        self.assertIsNone(predictions.figures_of("NVIDIA H200"))
        product = {"name": "T=512 attention projection 1000x1000x1600", "part": "forward", "path": "", "dtype": "bf16",
                   "flops": 7.95e11, "bytes": 2.76e8}
        self.assertAlmostEqual(predictions.row_ms(figures, "products", product), 1.1 + 0.15 * 0.1)
        self.assertIsNone(predictions.row_ms(figures, "products", {**product, "dtype": "f32"}))
        scores = {"name": "256 to 512", "part": "backward", "path": "chosen", "dtype": "bf16", "flops": 1.52e11}
        self.assertAlmostEqual(predictions.row_ms(figures, "attention", scores), 1 / 0.82)
        self.assertIsNone(predictions.row_ms(figures, "attention", {**scores, "path": "materialised"}))

    def test_a_floor_is_the_larger_of_two(self):
        rates = {"copy": 1e12, "f32": 1e13}
        self.assertAlmostEqual(page.floor_ms({"dtype": "f32", "flops": 2e10, "bytes": 1e9}, rates), 2.0)
        self.assertAlmostEqual(page.floor_ms({"dtype": "f32", "flops": 2e10, "bytes": 5e9}, rates), 5.0)
        self.assertIsNone(page.floor_ms({"dtype": "bf16", "flops": 1, "bytes": 1}, {"copy": None}))

    def test_what_was_not_timed_has_no_number(self):
        row = {"name": "x", "part": "forward", "dtype": "f32", "path": "", "flops": 1, "bytes": 1}
        (cells,) = page.measured_rows("attention", [row], {"copy": 1.0, "f32": 1.0})
        self.assertEqual(cells, ["x", "forward", "f32", "WRONG, not timed", "", "", ""])

    def test_a_page_of_nothing(self):
        self.assertTrue(re.match("# unknown device\n", page.text({"stages": {}}, False)))


if __name__ == "__main__":
    unittest.main()
