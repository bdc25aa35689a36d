# SPDX-License-Identifier: Apache-2.0
"""Runs of funnel-pretrain on CUDA devices, one and two ranks. Oracles: an undisturbed run on one rank
of the same kind of device, whose losses and weights must be repeated bit for bit; and the CPU's run,
whose losses a run that moves between devices must meet within the tolerance of f32."""

import shutil
import unittest

from device_runs import DeviceRuns
from pretrain_runs import checkpoints, losses, metrics

STEPS, SAVED = 4, 2
SHORT = ["precision=FP32", f"train.steps={STEPS}", f"train.save_every_steps={SAVED}",
         "train.eval_every_steps=0", "train.eval_batches=1", "optimizer.warmup_steps=0"]
TOLERANCE = 1e-5


class Runs(DeviceRuns):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        maker = cls("new_run")
        cls.alone = maker.new_run("alone")
        maker.on_cuda(cls.alone, settings=SHORT)
        cls.on_cpu = maker.new_run("on-cpu")
        maker.pretrain(cls.on_cpu, ranks=2, settings=["device=cpu", *SHORT])
        maker.doCleanups()

    def half_of(self, run):
        """The run as it was after its first half."""
        half = self.folder / self.id()
        shutil.copytree(run, half)
        newest = checkpoints(half)[-1]
        self.assertEqual(newest.name, f"step-{STEPS:08d}")
        shutil.rmtree(newest)
        return half

    def assert_resumed(self, said):
        self.assertIn(f"step-{SAVED:08d}", said)

    def assert_near(self, run, other):
        found, expected = metrics(run), metrics(other)
        self.assertEqual([line["step"] for line in found], [line["step"] for line in expected])
        for line, wanted in zip(found, expected):
            for key in ("loss", "mlm_loss", "discriminator_loss"):
                if key in wanted:
                    self.assertAlmostEqual(line[key], wanted[key], delta=TOLERANCE * wanted[key])

    def test_two_ranks_over_nccl(self):
        run = self.new_run("nccl")
        self.on_cuda(run, devices=2, ranks=2, settings=SHORT)
        self.assert_same_run(run, self.alone)

    def test_two_ranks_that_share_a_device(self):
        run = self.new_run("shared")
        self.on_cuda(run, devices=1, ranks=2, settings=SHORT)
        self.assert_same_run(run, self.alone)

    def test_resumed_on_another_number_of_ranks(self):
        run = self.half_of(self.alone)
        self.assert_resumed(self.on_cuda(run, devices=2, ranks=2, settings=SHORT))
        self.assert_same_run(run, self.alone)

    def test_moves_from_cpu_to_cuda(self):
        run = self.half_of(self.on_cpu)
        self.assert_resumed(self.on_cuda(run, devices=2, ranks=2, settings=SHORT))
        self.assert_near(run, self.on_cpu)

    def test_moves_from_cuda_to_cpu(self):
        run = self.half_of(self.alone)
        self.assert_resumed(self.pretrain(run, ranks=2, settings=["device=cpu", *SHORT]))
        self.assert_near(run, self.on_cpu)
        self.assertNotEqual(losses(run)[-1], losses(self.on_cpu)[-1])  # it did begin elsewhere


if __name__ == "__main__":
    unittest.main()
