# SPDX-License-Identifier: Apache-2.0
"""What the tests of funnel-pretrain share: a small data set, a tiny model, and ways to run, pace
and compare runs. The programs' folder and mpiexec come from the environment."""

import fcntl
import hashlib
import json
import os
import pathlib
import random
import select
import subprocess
import tempfile
import unittest

PROGRAMS = pathlib.Path(os.environ["FUNNEL_PROGRAMS"])
PRETRAIN = pathlib.Path(os.environ.get("FUNNEL_PRETRAIN", PROGRAMS / "funnel-pretrain"))
MPIEXEC = os.environ["FUNNEL_MPIEXEC"]
LIMIT = 120  # seconds; a run that takes longer hangs

CONFIG = """
model { width: 16 heads: 2 head_width: 8 inner: 32 blocks: "1" blocks: "1" blocks: "1" decoder: "1" }
objective { generator_width_ratio: 0.5 predictions: 4 }
data { seq_len: 32 }
optimizer { learning_rate: 1e-3 warmup_steps: 2 }
train {
  steps: 12 global_batch: 8 logical_shards: 4 seed: 7 eval_every_steps: 6 eval_batches: 2
  save_every_steps: 4 log_every_steps: 1
}
"""


def sentences(documents, seed):
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefgh", k=draw.randint(2, 6))) for _ in range(60)]
    text = []
    for _ in range(documents):
        for _ in range(6):
            text.append(" ".join(draw.choice(words) for _ in range(9)) + ".\n")
        text.append("\n")
    return "".join(text)


def shard(*arguments):
    subprocess.run([PROGRAMS / "funnel-shard", *map(str, arguments)], check=True,
                   capture_output=True, timeout=LIMIT)


class PacedRun:
    """A run in the background whose log.txt is a pipe of one page that only this reads. However busy
    the machine is, the run gets at most AHEAD steps beyond the last one seen here."""

    AHEAD = 25  # lines of a step in a page, and one that waits to be written

    def __init__(self, command, run):
        run.mkdir(exist_ok=True)
        if not (run / "run_id").exists():
            (run / "run_id").write_text("0123456789abcdef" * 2 + "\n")  # the folder is a run's
        self.log = run / "log.txt"
        self.log.unlink(missing_ok=True)
        os.mkfifo(self.log)
        self.pipe = os.open(self.log, os.O_RDWR)  # with both ends open, nobody waits or dies of the other
        fcntl.fcntl(self.pipe, fcntl.F_SETPIPE_SZ, 4096)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.end = os.pidfd_open(self.process.pid)
        self.text = ""

    def read(self):
        """Reads on; false once the run has ended and all is read."""
        ready = select.select([self.pipe, self.end], [], [], LIMIT)[0]
        if not ready:
            self.process.kill()
            raise AssertionError(f"the run hangs after: {self.text[-1000:]}")
        if self.pipe in ready:
            self.text += os.read(self.pipe, 4096).decode()
        return self.pipe in ready

    def reach(self, step):
        while f" step {step}/" not in self.text:
            if not self.read():
                raise AssertionError(f"the run ended before step {step}: {self.text[-1000:]}")

    def finish(self):
        """Lets the run go on to its end; returns its exit code."""
        while self.read():
            pass
        os.close(self.pipe)
        os.close(self.end)
        self.log.unlink()
        return self.process.wait()

    def ranks(self):
        """The processes that mpiexec has started."""
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children
                if "funnel-pretrain" in pathlib.Path(f"/proc/{child}/cmdline").read_text()]


class PretrainRuns(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.data = cls.make_data("data", sentences(120, seed=1))
        cls.config = cls.folder / "config.textproto"
        cls.config.write_text(CONFIG)

    @classmethod
    def make_data(cls, name, text):
        source = cls.folder / f"{name}.txt"
        source.write_text(text)
        vocabulary, data = cls.folder / f"{name}.vocab", cls.folder / name
        shard("vocab", "--size", 120, "--output", vocabulary, source)
        shard("build", "--vocab", vocabulary, "--seq-len", 32, "--held-out", 0.1, "--shard-rows", 64,
              "--chunk-rows", 16, "--output", data, source)
        return data

    def new_run(self, name):
        """A run folder whose run has a fixed id, so that equal states make equal files."""
        run = self.folder / name
        run.mkdir()
        (run / "run_id").write_text("5" * 32 + "\n")
        return run

    def command(self, run, ranks=1, data=None, settings=(), config=None):
        launcher = [MPIEXEC, "--oversubscribe", "-np", str(ranks)] if ranks > 1 else []
        command = [*launcher, PRETRAIN, "--config", config or self.config,
                   "--data", data or self.data, "--run", run]
        for setting in settings:
            command += ["--set", setting]
        return list(map(str, command))

    def run_command(self, command):
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)

    def pretrain(self, run, expected=0, **options):
        """Runs to the end; returns what it wrote to standard error."""
        done = self.run_command(self.command(run, **options))
        self.assertEqual(done.returncode, expected, done.stderr + done.stdout)
        return done.stderr

    def start(self, run, **options):
        return PacedRun(self.command(run, **options), run)

    def assert_same_run(self, run, other):
        self.assertEqual(losses(run), losses(other))
        self.assertEqual(newest_state(run), newest_state(other))


def metrics(run):
    """The lines of metrics.jsonl."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses(run):
    """What must not depend on ranks, lives or the clock."""
    clock = {"tokens_per_second", "flops_per_second", "share_of_peak", "data_wait_share", "seconds"}
    return [{k: v for k, v in line.items() if k not in clock} for line in metrics(run)]


def checkpoints(run):
    return sorted((run / "checkpoints").glob("step-*"))


def newest_state(run):
    """Name and digests of the newest checkpoint's files; its manifest tells its own in its last line."""
    newest = checkpoints(run)[-1]
    return newest.name, {file.name: hashlib.sha256(file.read_bytes()).hexdigest()
                         for file in newest.iterdir()}


def flip_byte(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
