# SPDX-License-Identifier: Apache-2.0
"""Runs of funnel-pretrain on several ranks and through several lives. Oracle: one undisturbed run on
one rank, whose losses and weights every other run must repeat bit for bit."""

import os
import random
import shutil
import signal
import unittest

from pretrain_runs import PacedRun, PretrainRuns, checkpoints, flip_byte, losses, metrics, newest_state

STEPS, SAVE = 150, 40
LONG = [f"train.steps={STEPS}", "train.eval_every_steps=50", f"train.save_every_steps={SAVE}"]


class Ranks(PretrainRuns):
    def test_ranks_give_the_same_bits(self):
        for objective in ("ELECTRA", "MLM"):
            kind = [f"objective.kind={objective}"]
            alone = self.new_run(f"alone-{objective}")
            self.pretrain(alone, settings=kind)
            self.assertEqual([line["kind"] for line in metrics(alone)].count("eval"), 2)
            for ranks in (2, 4):
                run = self.new_run(f"ranks-{ranks}-{objective}")
                self.pretrain(run, ranks=ranks, settings=kind)
                self.assert_same_run(run, alone)


class Lives(PretrainRuns):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.undisturbed = cls("new_run").new_run("undisturbed")
        cls("pretrain").pretrain(cls.undisturbed, settings=LONG)
        cls.draw = random.Random(3)

    def test_signal_to_one_process(self):
        run = self.new_run("terminated")
        step = 0
        for stop in (signal.SIGTERM, signal.SIGINT):
            paced = self.start(run, settings=LONG)
            paced.reach(step + self.draw.randint(1, 20))
            paced.process.send_signal(stop)
            self.assertEqual(paced.finish(), 75)
            step = metrics(run)[-1]["step"]
            self.assertEqual(checkpoints(run)[-1].name, f"step-{step:08d}")
        self.pretrain(run, ranks=2, settings=LONG)
        self.assert_same_run(run, self.undisturbed)

    def test_signal_to_one_rank(self):
        run = self.new_run("one-rank")
        paced = self.start(run, ranks=4, settings=LONG)
        paced.reach(self.draw.randint(1, STEPS - 1 - PacedRun.AHEAD))
        os.kill(self.draw.choice(paced.ranks()), signal.SIGUSR1)
        self.assertEqual(paced.finish(), 75)
        self.pretrain(run, settings=LONG)
        self.assert_same_run(run, self.undisturbed)

    def test_killed_rank(self):
        run = self.new_run("killed")
        paced = self.start(run, ranks=2, settings=LONG)
        paced.reach(self.draw.randint(SAVE + 2, 2 * SAVE - 1 - PacedRun.AHEAD))
        os.kill(paced.ranks()[1], signal.SIGKILL)
        self.assertEqual(paced.finish(), 128 + signal.SIGKILL)
        self.assertEqual(checkpoints(run)[-1].name, f"step-{SAVE:08d}")
        self.pretrain(run, ranks=2, settings=LONG)
        self.assert_same_run(run, self.undisturbed)

    def test_damaged_checkpoint(self):
        run = self.folder / "damaged"
        shutil.copytree(self.undisturbed, run)
        newest = checkpoints(run)[-1]
        damaged = next(newest.glob("*.h5"))
        flip_byte(damaged, damaged.stat().st_size // 2)
        self.assertIn(str(damaged), self.pretrain(run, settings=LONG))
        self.assert_same_run(run, self.undisturbed)

    def test_finished_run_changes_nothing(self):
        before = losses(self.undisturbed), newest_state(self.undisturbed)
        self.pretrain(self.undisturbed, ranks=2, settings=LONG)
        self.assertEqual((losses(self.undisturbed), newest_state(self.undisturbed)), before)


if __name__ == "__main__":
    unittest.main()
