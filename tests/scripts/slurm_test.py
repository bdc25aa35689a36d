# SPDX-License-Identifier: Apache-2.0
"""Lives of launch/slurm/pretrain.sbatch with a stand-in mpirun and scontrol: which exit codes ask
for another life, and when the script gives up. The oracle is the list of exit codes that
core/base/error.h promises."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).parents[2] / "launch" / "slurm" / "pretrain.sbatch"

# A launcher that ends with 93 for USR1 and with 1 for TERM. The signals are blocked before it says
# that it is there, so that one is never lost between two looks.
WAITS = """
import os, signal
signals = {signal.SIGUSR1, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
with open(os.environ["FAKE"] + "/started", "w") as started:
    started.write("go")
os._exit(93 if signal.sigwait(signals) == signal.SIGUSR1 else 1)
"""


class Lives(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)
        self.run_folder = self.path / "run"
        self.program("scontrol", 'echo "$@" >>"$FAKE/requeued"')
        self.program("sleep", "exit 0")

    def program(self, name, body):
        path = self.path / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def start(self, mpirun):
        self.program("mpirun", mpirun)
        environment = {
            **os.environ,
            "PATH": f"{self.path}:{os.environ['PATH']}",
            "FAKE": str(self.path),
            "SLURM_JOB_ID": "17",
        }
        command = ["bash", str(SCRIPT), "--config", "c", "--run", str(self.run_folder)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def life(self, mpirun):
        process = self.start(mpirun)
        process.communicate(timeout=60)
        return process.returncode

    def requeues(self):
        path = self.path / "requeued"
        return path.read_text().splitlines() if path.exists() else []

    def checkpoint(self, step):
        folder = self.run_folder / "checkpoints" / f"step-{step:08d}"
        return f'mkdir -p "{folder}"; touch "{folder}/MANIFEST.textproto"; '

    def test_final_codes(self):
        for code in (0, 2, 93):
            self.assertEqual(self.life(f"exit {code}"), code)
        self.assertEqual(self.requeues(), [])

    def test_other_codes_ask_for_another_life(self):
        for step, code in enumerate((75, 86, 137, 139, 205, 1)):
            self.assertEqual(self.life(self.checkpoint(step) + f"exit {code}"), 0)
        self.assertEqual(self.requeues(), ["requeue 17"] * 6)

    def test_three_lives_without_progress(self):
        self.assertEqual([self.life("exit 1") for _ in range(3)], [0, 0, 93])
        self.assertEqual(len(self.requeues()), 2)

    def test_progress_forgives(self):
        lives = ["exit 1", "exit 1", self.checkpoint(1) + "exit 1", "exit 1", "exit 1", "exit 1"]
        self.assertEqual([self.life(life) for life in lives], [0, 0, 0, 0, 0, 93])

    def test_half_a_checkpoint_is_no_progress(self):
        half = f'mkdir -p "{self.run_folder}/checkpoints/step-00000009"; exit 1'
        self.assertEqual([self.life(half) for _ in range(3)], [0, 0, 93])

    def test_arguments_reach_the_program(self):
        self.assertEqual(self.life('echo "$@" >"$FAKE/arguments"'), 0)
        expected = f"funnel-pretrain --config c --run {self.run_folder}\n"
        self.assertEqual((self.path / "arguments").read_text(), expected)

    def test_signals_become_usr1_and_the_code_comes_through(self):
        for name in (signal.SIGUSR1, signal.SIGTERM):
            started = self.path / "started"
            os.mkfifo(started)
            process = self.start(f'exec "{sys.executable}" -c \'{WAITS}\'')
            started.read_text()
            process.send_signal(name)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, 93, name)
            started.unlink()


if __name__ == "__main__":
    unittest.main()
