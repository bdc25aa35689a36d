# SPDX-License-Identifier: Apache-2.0
"""CUDA devices that are missing, unfit, too small or fail, and peers that go. Oracle: the promise that
each ends soon with the right exit code and one sentence that names what was expected and found, the
rank, the host and the device."""

import os
import re
import signal
import socket
import unittest

from device_runs import DeviceRuns
from pretrain_runs import checkpoints, losses

HOST = socket.gethostname()
CUDA = "device=cuda"


class Refusals(DeviceRuns):
    def setUp(self):
        self.run_folder = self.folder / self.id()

    def complaints(self, said):
        return [line for line in said.splitlines() if re.search(r" E (\[|\S)", line)]

    def refuses(self, *parts, **options):
        said = self.pretrain(self.run_folder, expected=2, settings=[CUDA], **options)
        complaints = self.complaints(said)
        self.assertEqual(len(complaints), 1, said)
        for part in parts:
            self.assertIn(part, complaints[0])
        self.assertFalse(self.run_folder.exists())

    def test_unfit_devices(self):
        for options, why in (
            ("devices=0", "no CUDA device is visible on this machine"),
            ("driver=12080", "the NVIDIA driver serves CUDA up to 12.8, this program needs 13.0"),
            ("capability=75", "it is sm_75, and this program was built for sm_80, sm_90"),
        ):
            self.devices(options)
            for ranks in (1, 2):
                self.refuses("device: expected cpu or auto, because", why, f"(host {HOST})", ranks=ranks)

    def test_one_rank_without_a_device(self):
        command = self.command(self.run_folder, settings=[CUDA])
        both = []
        for devices in (1, 0):
            both += ["-np", "1", "env", f"FUNNEL_CUDACPU=devices={devices}", *command, ":"]
        launcher = self.command(self.run_folder, ranks=2)[:2]
        done = self.run_command([*launcher, *both[:-1]])
        self.assertEqual(done.returncode, 2, done.stderr)
        complaints = self.complaints(done.stderr)
        self.assertEqual(len(complaints), 1, done.stderr)
        self.assertIn("rank 1: device: expected cpu or auto, because no CUDA device", complaints[0])

    def test_auto_says_what_it_takes(self):
        short = ["train.steps=1", "optimizer.warmup_steps=0", "train.eval_batches=0"]
        for options, device in (
            ("devices=0", "device: CPU, because no CUDA device is visible"),
            ("devices=1", "device: CUDA device 0, "),
        ):
            self.devices(options)
            run = self.folder / f"auto-{options}"
            self.assertIn(device, self.pretrain(run, settings=short))


class Memory(DeviceRuns):
    SMALL = [CUDA, "train.steps=1", "optimizer.warmup_steps=0", "train.eval_batches=0",
             "train.global_batch=256"]
    MEMORY = 56 << 20

    def test_parameters_that_do_not_fit(self):
        self.devices("memory=100K")
        said = self.pretrain(self.folder / "state", expected=2, settings=self.SMALL)
        self.assertRegex(said, r"out of device memory: cannot allocate \d+ bytes for the \w+ on CUDA "
                               r"device 0 \(.*\): this process holds \d+ bytes, and of the device's 102400 "
                               r"bytes \d+ are free; no train.logical_shards of this global batch needs less")

    def test_the_advice_for_activations_holds(self):
        self.devices(f"memory={self.MEMORY}")
        settings = [*self.SMALL, "train.logical_shards=1"]
        said = self.pretrain(self.folder / "activations", expected=2, settings=settings)
        self.assertRegex(said, r"cannot allocate \d+ bytes for (the activations kept for the backward pass|scratch) "
                               rf"on CUDA device 0 .* of the device's {self.MEMORY} bytes \d+ are free; ")
        advice = re.search(r"(train\.logical_shards=\d+) \(\d+ instead of 256 sequences at a time\)", said)
        self.assertIsNotNone(advice, said)
        self.pretrain(self.folder / "advised", settings=[*self.SMALL, advice.group(1)])

    def test_two_ranks(self):
        self.devices("memory=8M,devices=2")
        settings = [*self.SMALL, "train.logical_shards=2"]
        said = self.pretrain(self.folder / "both", expected=2, ranks=2, settings=settings)
        self.assertRegex(said, rf"rank 0: out of device memory: cannot allocate 16777216 bytes for the pieces .* on "
                               rf"CUDA device 0 .*\(rank 0, host {HOST}, CUDA device 0\)")


class Faults(DeviceRuns):
    def test_values_that_are_not_finite(self):
        """A step that makes the weights huge: the next one's kernels overflow."""
        self.devices("devices=2")
        run = self.folder / "overflow"
        settings = ["optimizer.learning_rate=1e30", "optimizer.warmup_steps=0", "train.max_nonfinite_steps=2",
                    "train.save_every_steps=1", "train.eval_batches=0"]
        said = {}
        for device in ("cuda", "cpu"):
            run = self.folder / f"overflow-{device}"
            said[device] = self.pretrain(run, expected=93, ranks=2,
                                         settings=[*settings, f"device={device}"])
            self.assertIn("step 2 was skipped", said[device])
            self.assertIn("3 steps in a row were not finite", said[device])
            # A skipped step changes nothing: what the next ones saved differs in the step's number.
            self.assertEqual(checkpoints(run)[-1].name, "step-00000003")
            for first, last in zip(*(sorted(checkpoints(run)[i].glob("*.h5")) for i in (0, -1))):
                pairs = zip(first.read_bytes(), last.read_bytes(), strict=True)
                self.assertLess(sum(a != b for a, b in pairs), 50, first)
        for rank, shard in ((0, 0), (1, 2)):
            self.assertIn(f"step 2: the loss or gradient of logical shard {shard} is not finite (rank {rank}, "
                          f"host {HOST}, CUDA device {rank})", said["cuda"])
        steps = [[line["step"] for line in losses(self.folder / f"overflow-{device}")]
                 for device in ("cuda", "cpu")]
        self.assertEqual(*steps)

    def start_two(self, name):
        self.devices("devices=2")
        paced = self.start(self.folder / name, ranks=2,
                           settings=[CUDA, "train.steps=100000", "train.eval_batches=0",
                                     "train.save_every_steps=0", "train.peer_timeout_seconds=2"])
        paced.reach(2)
        return paced

    def test_a_peer_that_keeps_silent(self):
        paced = self.start_two("silent")
        os.kill(paced.ranks()[1], signal.SIGSTOP)
        self.assertEqual(paced.finish(), 1)
        self.assertRegex(paced.text, rf"failed on rank 0 \(host {HOST}, CUDA device 0, .*\): no answer from "
                                     r"the other ranks for 2000 ms")

    def test_a_peer_that_dies(self):
        paced = self.start_two("killed")
        os.kill(paced.ranks()[1], signal.SIGKILL)
        self.assertNotEqual(paced.finish(), 0)


if __name__ == "__main__":
    unittest.main()
