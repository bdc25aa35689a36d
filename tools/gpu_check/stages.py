# SPDX-License-Identifier: Apache-2.0
"""The stages of the check in their order, each with its budget in seconds. They follow one rule:
nothing is timed before it has been found right."""

import json
import os
import pathlib
import re
import shutil
import sys

from counters import Profiler
from machine import environment_of, find_tool, last_line
from runner import Failed
from sizes import SIZES

# What a table is about, as the names of failing tests say it.
NEEDED_FOR = {"attention": r"Attention", "products": r"Matmul|Linear",
              "memory": r"LayerNorm|ResidualNorm|NormOutlet|Embedding|CrossEntropy|SampleTokens|DeviceLearner",
              "step": r"Golden|DeviceLearner|conformance"}

# Small tests of every kind of kernel, for the sanitizers.
SANITIZED = ("DeviceTeam*:LayerNorm*:ResidualNorm*:NormOutlet*:CrossEntropy*:DiscriminatorLoss*:Reduce*:"
             "*FusedAttention*/0:*RelativeAttentionTest.*/0")


class Stages:
    """The stages of one check, over the programs and data that were found."""

    def __init__(self, options, results):
        self.programs = pathlib.Path(options.programs)
        self.root = pathlib.Path(options.root)
        self.data = pathlib.Path(options.data)
        self.work = pathlib.Path(options.work)
        self.sizes = SIZES[options.sizes]
        self.on_host_runtime = options.host_runtime
        self.results = results

    def in_order(self):
        """Together they take 20 minutes at the most."""
        return [("environment", 60, self.environment), ("correctness", 240, self.correctness),
                ("sanitizers", 110, self.sanitizers), ("repetition", 40, self.repetition),
                ("attention", 90, self.attention), ("products", 170, self.products), ("memory", 60, self.memory),
                ("step", 200, self.step), ("counters", 60, self.counters), ("transformers", 100, self.transformers),
                ("training", 70, self.training)]

    # Finding and running.

    def program(self, name):
        path = self.programs / name
        if not path.exists():
            raise Failed(f"found no {name} in {self.programs}")
        return path

    def config(self, name):
        return self.root / "configs" / f"{name}.textproto"

    def overrides(self, *more):
        return [word for one in (*self.sizes["overrides"], *more) for word in ("--set", one)]

    def bench(self, stage, command, *arguments, name, seconds=None):
        """Runs funnel-bench and gives what it wrote, or None if it wrote nothing."""
        file = self.work / f"{name}.json"
        file.unlink(missing_ok=True)
        done = stage.run(self.program("funnel-bench"), command, "--device", "cuda", "--json", file, "--repeats",
                         self.sizes["repeats"], *arguments, seconds=seconds)
        if not file.exists():
            return None, last_line(done.stdout)
        return json.loads(file.read_text()), last_line(done.stdout)

    def need(self, stage, name):
        """Ends a stage of timing whose kernels were found wrong, or were not looked at."""
        correctness = self.results["stages"].get("correctness")
        if correctness is None:
            raise Failed("not timed: the stage correctness has not run")
        pattern = NEEDED_FOR[name]
        wrong = [test for test in correctness["data"].get("failing", []) if re.search(pattern, test)]
        if wrong:
            raise Failed(f"not timed: {len(wrong)} of its tests fail, {wrong[0]} first")
        if correctness["state"] == "out of time":
            stage.note("the tests before it did not come to their end")

    # Stages.

    def environment(self, stage):
        stage.data["host"] = environment_of(stage)
        found, said = self.bench(stage, "device", "--dtype", "f32,bf16", "--edge", self.sizes["edge"], "--copy-mib",
                                 self.sizes["copy_mib"], name="device")
        if found is None:
            raise Failed(f"funnel-bench device: {said}")
        stage.data.update(found)
        check_rows(stage, found["rows"])

    def correctness(self, stage):
        """The tests of every CUDA room on the device, and the conformance of its primitives."""
        stage.data["tests"], stage.data["failing"] = {}, []
        recording = self.work / "conformance.txt"
        done = stage.run(self.program("conformance"), "--record", recording, "--recorded",
                         self.root / "tests/conformance/recorded")
        stage.data["conformance"] = [line for line in done.stdout.splitlines() if line.startswith(("mma adds", "recorded"))
                                     or "WRONG" in line]
        if done.returncode != 0:
            stage.data["failing"].append("conformance")
            stage.fail("conformance: " + "; ".join(stage.data["conformance"]))
        for name, selection in self.sizes["tests"].items():
            self.run_tests(stage, name, selection)
        if "device_comm_test" in self.sizes["tests"] and shutil.which("mpirun"):
            done = stage.run("mpirun", "--oversubscribe", "-np", "2", self.program("device_comm_test"))
            stage.note(f"device_comm_test on 2 ranks ended with code {done.returncode}")
            if done.returncode != 0:
                stage.fail(f"device_comm_test on 2 ranks: {last_line(done.stdout)}")

    def run_tests(self, stage, name, selection):
        report = self.work / f"{name}.json"
        report.unlink(missing_ok=True)
        done = stage.run(self.program(name), f"--gtest_filter={selection}", f"--gtest_output=json:{report}",
                         FUNNEL_TEST_DEVICE="cuda", FUNNEL_GOLDEN_DIR=str(self.root / "tests/golden"))
        if not report.exists():
            stage.data["failing"].append(name)
            return stage.fail(f"{name} ended with code {done.returncode}: {last_line(done.stdout)}")
        tests = json.loads(report.read_text())
        wrong = [f"{suite['name']}.{case['name']}" for suite in tests["testsuites"] for case in suite["testsuite"]
                 if case.get("failures")]
        stage.data["tests"][name] = {"tests": tests["tests"], "failed": len(wrong)}
        stage.data["failing"] += wrong
        if wrong or tests["tests"] == 0 or done.returncode != 0:
            stage.fail(f"{name}: {len(wrong)} of {tests['tests']} failed" + (f", {wrong[0]} first" if wrong else
                                                                            f", exit code {done.returncode}"))
        return None

    def sanitizers(self, stage):
        tool = find_tool("compute-sanitizer")
        if self.on_host_runtime:
            return stage.note("not run: the host runtime has checkers of its own")
        if tool is None:
            return stage.note("compute-sanitizer is not installed")
        stage.data["runs"] = []
        for kind in ("memcheck", "racecheck"):
            for name in ("device_test", "fused_attention_test", "ops_test"):
                if not (self.programs / name).exists():
                    continue
                done = stage.run(tool, "--tool", kind, "--error-exitcode", "9", self.program(name),
                                 f"--gtest_filter={'*' if name == 'device_test' else SANITIZED}",
                                 seconds=max(20, stage.seconds_left() / 2), FUNNEL_TEST_DEVICE="cuda")
                summary = [line for line in done.stdout.splitlines() if "SUMMARY" in line]
                stage.data["runs"].append({"tool": kind, "program": name, "said": (summary or ["no summary"])[-1].strip("= ")})
                if done.returncode == 9 or not summary:
                    stage.fail(f"{kind} of {name}: {(summary or [last_line(done.stdout)])[-1]}")
        return None

    def repetition(self, stage):
        """A run twice from the same seed: the files of its checkpoints are the same."""
        digests = []
        for which in ("first", "second"):
            run = self.train(stage, f"repetition-{which}", "cuda", min(20, self.sizes["training_steps"]))
            manifests = sorted(run.glob("checkpoints/step-*/MANIFEST.textproto"))
            if not manifests:
                raise Failed("the run left no checkpoint")
            digests.append(re.findall(r'(?<!_)sha256: "(\w+)"', manifests[-1].read_text()))
        stage.data["files"] = len(digests[0])
        if digests[0] != digests[1]:
            differ = sum(a != b for a, b in zip(*digests))
            stage.fail(f"{differ} of {len(digests[0])} files of the checkpoints differ between two equal runs")

    def train(self, stage, name, device, steps, *overrides, config="tiny"):
        """Trains a model and gives the run's folder."""
        run = self.work / name
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir()
        # One id for all: it is written into every file of a checkpoint.
        (run / "run_id").write_text("0123456789abcdef" * 2 + "\n")
        done = stage.run(self.program("funnel-pretrain"), "--config", self.config(config), "--data", self.data, "--run", run,
                         *self.overrides(f"device={device.upper()}", f"train.steps={steps}", "train.log_every_steps=1",
                                         "optimizer.warmup_steps=2",
                                         "train.global_batch=4", "train.logical_shards=1", "train.eval_batches=0",
                                         *overrides))
        if done.returncode != 0:
            raise Failed(f"funnel-pretrain on {device} ended with {done.returncode}: {last_line(done.stdout)}")
        return run

    def attention(self, stage):
        self.need(stage, "attention")
        self.table(stage, "attention", ["--dtype", "f32,bf16"])

    def products(self, stage):
        """In the precision that is to be fast also what else the library could have done."""
        self.need(stage, "products")
        self.table(stage, "matmul", ["--dtype", "bf16", "--algorithms", self.sizes["algorithms"]], ["--dtype", "f32"])

    def memory(self, stage):
        """What memory bounds, beside a copy in the same run."""
        self.need(stage, "memory")
        self.table(stage, "memory", ["--dtype", "f32,bf16", "--copy-mib", self.sizes["copy_mib"]])

    def table(self, stage, command, *runs):
        """The rows of funnel-bench, of one run after the other with these arguments, by model."""
        stage.data["models"] = {}
        for model in self.sizes["models"]:
            rows = stage.data["models"][model] = []
            for number, arguments in enumerate(runs):
                found, said = self.bench(stage, command, *self.model_arguments(model, self.sizes["batches"][0]), *arguments,
                                         name=f"{command}-{model}-{number}")
                if found is None:
                    raise Failed(f"{model}: {said}")
                rows += found["rows"]
                check_rows(stage, found["rows"])

    def model_arguments(self, model, batch, *overrides):
        return ["--config", self.config(model), "--vocab", 512 if model == "tiny" else 30522,
                *self.overrides(f"train.global_batch={batch}", "train.logical_shards=1", *overrides)]

    def step(self, stage):
        """Whole steps at the largest batch that fits."""
        self.need(stage, "step")
        stage.data["steps"] = []
        for model in self.sizes["models"]:
            for precision in ("BF16", "FP32"):
                found = self.time_step(stage, model, precision)
                if found is not None:
                    stage.data["steps"].append({**found, "precision": precision})
        if not stage.data["steps"]:
            stage.fail("no step could be timed")

    def time_step(self, stage, model, precision):
        for batch in self.sizes["batches"]:
            found, said = self.bench(stage, "step", *self.model_arguments(model, batch, f"precision={precision}"),
                                     "--edge", self.sizes["edge"], name=f"step-{model}-{precision}")
            if found is not None:
                if not found["finite"]:
                    stage.fail(f"{model} {precision}: a loss or gradient was not finite")
                return found
            if "out of device memory" not in said:
                stage.fail(f"{model} {precision}: {said}")
                return None
            stage.note(f"{model} {precision}: a batch of {batch} does not fit")
        return None

    def counters(self, stage):
        """What the hardware counts in our slowest kernels: those of a step with a layer of each kind."""
        tool = find_tool("ncu")
        if self.on_host_runtime:
            return stage.note("not run: there is no GPU")
        if tool is None:
            return stage.note("ncu is not installed")
        self.need(stage, "step")
        model, batch = self.sizes["models"][0], self.sizes["batches"][-1]
        command = [self.program("funnel-bench"), "step", "--device", "cuda", "--repeats", 1, "--edge", 256,
                   *self.model_arguments(model, batch, "precision=BF16", "model.blocks=1,1,1", "model.decoder=1")]
        stage.data.update({"model": model, "batch": batch})
        stage.data["kernels"], trouble = Profiler(tool, stage, command).slowest_kernels(3)
        if trouble:
            stage.note(trouble)
        return None

    def transformers(self, stage):
        """The same models in PyTorch, on the same device, in the same run."""
        if self.on_host_runtime:
            return stage.note("not run: there is no GPU")
        stage.data["steps"] = []
        for one in self.results["stages"].get("step", {}).get("data", {}).get("steps", []):
            file = self.work / f"transformers-{one['model']}-{one['precision']}.json"
            file.unlink(missing_ok=True)
            done = stage.run(sys.executable, "-B", pathlib.Path(__file__).with_name("transformers_step.py"), "--config",
                             self.config("electra-" + one["model"]), "--batch", one["batch"], "--precision", one["precision"],
                             "--json", file, LD_LIBRARY_PATH=os.environ.get("FUNNEL_PLAIN_LIBRARY_PATH", ""))
            if done.returncode == 77:
                return stage.note(last_line(done.stdout))
            if done.returncode != 0 or not file.exists():
                stage.fail(f"{one['model']} {one['precision']}: {last_line(done.stdout)}")
                continue
            stage.data["steps"].append(json.loads(file.read_text()))
        return None

    def training(self, stage):
        """A run whose loss must fall, beside the CPU's from the same seed; then one of a whole model."""
        steps = self.sizes["training_steps"]
        here = losses(self.train(stage, "training-cuda", "cuda", steps, "precision=FP32"))
        there = losses(self.train(stage, "training-cpu", "cpu", min(20, steps), "precision=FP32"))
        stage.data.update({"steps": steps, "first": here[0], "last": here[-1]})
        apart = max(abs(a - b) / abs(b) for a, b in zip(here, there))
        stage.data["apart"] = apart
        if not apart <= 1e-3:
            stage.fail(f"the first {len(there)} losses are {apart:.1e} from the CPU's")
        check_falls(stage, "tiny", here)
        one = self.sizes["whole_model"]
        run = self.train(stage, "training-whole", "cuda", one["steps"], "precision=BF16", *one["overrides"], config=one["config"])
        whole = losses(run)
        stage.data["whole"] = {"model": one["config"], "steps": one["steps"], "first": whole[0], "last": whole[-1]}
        check_falls(stage, one["config"], whole)
        shutil.rmtree(run)  # its checkpoints are large


def check_falls(stage, model, found):
    if len(found) >= 100 and not sum(found[-10:]) < 0.95 * sum(found[:10]):
        stage.fail(f"the loss of {model} did not fall: {found[0]:.3f} to {found[-1]:.3f}")


def check_rows(stage, rows):
    for row in rows:
        if not row["right"]:
            error = "something was not written" if row["error"] is None else f"error {row['error']:.1e}"
            bits = "" if row["bits_repeat"] else ", bits differ between two runs"
            stage.fail(f"{row['name']} {row['part']} {row['dtype']}: {error}{bits}; not timed")
        elif row.get("wrong_algorithms"):
            stage.note(f"{row['name']} {row['part']} {row['dtype']}: {row['wrong_algorithms']} other algorithms of the library "
                       "are not used and not timed: wrong, or of bits that differ between two runs")


def losses(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = [line["loss"] for line in lines if line["kind"] == "train"]
    if not found or any(loss is None or loss != loss for loss in found):
        raise Failed(f"{run.name}: a loss is missing or not a number")
    return found
