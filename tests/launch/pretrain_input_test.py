# SPDX-License-Identifier: Apache-2.0
"""Bad input to funnel-pretrain. Oracle: the promise that each ends with exit code 2 (93 for damage found
in mid-run) and one sentence naming what was expected and what was found, and that nothing is lost."""

import shutil
import unittest

from pretrain_runs import PretrainRuns, checkpoints, flip_byte, losses, sentences

ROW_BYTES = 32 * 2
CLS = bytes((2, 0))  # the third piece of a vocabulary, in 16 bits


def offset_of_a_chunk(shard):
    """Where sixteen rows of tokens stand, each of which begins with CLS."""
    for start in range(len(shard) - 16 * ROW_BYTES):
        if all(shard[at : at + 2] == CLS for at in range(start, start + 16 * ROW_BYTES, ROW_BYTES)):
            return start
    raise AssertionError("no chunk of tokens found")


class BadInput(PretrainRuns):
    def setUp(self):
        self.run_folder = self.folder / self.id()

    def refuses(self, *parts, expected=2, **options):
        said = self.pretrain(options.pop("run", self.run_folder), expected=expected, **options)
        complaints = [line for line in said.splitlines() if " E " in line]
        self.assertEqual(len(complaints), 1, said)
        for part in parts:
            self.assertIn(str(part), complaints[0])

    def copy_of_data(self):
        copy = self.folder / f"{self.id()}-data"
        shutil.copytree(self.data, copy)
        return copy

    def test_data_folder(self):
        for ranks in (1, 2):
            self.refuses("nowhere", data=self.folder / "nowhere", ranks=ranks)
        self.assertFalse(self.run_folder.exists())

    def test_truncated_shard(self):
        data = self.copy_of_data()
        shard = sorted(data.glob("*.h5"))[0]
        size = shard.stat().st_size
        with shard.open("r+b") as file:
            file.truncate(size // 2)
        self.refuses(shard, size, size // 2, data=data)

    def test_missing_shard(self):
        data = self.copy_of_data()
        shard = sorted(data.glob("*.h5"))[0]
        shard.unlink()
        self.refuses(shard, data=data)

    def test_damaged_shard_in_mid_run(self):
        data = self.copy_of_data()
        for shard in data.glob("*.h5"):
            flip_byte(shard, offset_of_a_chunk(shard.read_bytes()) + 5 * ROW_BYTES + 6)
        said = self.pretrain(self.run_folder, expected=93, data=data, ranks=2)
        self.assertIn(".h5", said)

    def test_other_vocabulary(self):
        data = self.copy_of_data()
        vocabulary = data / "vocab.txt"
        vocabulary.write_text(vocabulary.read_text() + "another\n")
        self.refuses("vocab", data=data)

    def test_run_of_another_vocabulary(self):
        self.pretrain(self.run_folder)
        other = self.make_data("other", sentences(120, seed=2))
        before = losses(self.run_folder)
        self.refuses("vocabulary", data=other)
        self.assertEqual(losses(self.run_folder), before)

    def test_sizes(self):
        for settings, parts in (
            (["data.seq_len=64"], ("data.seq_len", 32, 64)),
            (["model.vocab_size=99"], ("vocab_size", 99)),
            (["train.logical_shards=16"], ("logical_shards", 8, 16)),
            (["objective.predictions=40"], ("predictions", 40)),
        ):
            self.refuses(*parts, settings=settings, ranks=2)
        self.assertFalse(self.run_folder.exists())

    def test_no_cuda_device(self):
        """Where a device is at hand, nothing is refused and the run must do its work there."""
        command = self.command(self.run_folder, settings=["device=cuda"])
        done = self.run_command(command)
        if done.returncode == 0:
            self.assertIn("device: CUDA device 0", done.stderr)
            return
        for ranks in (1, 2):
            self.refuses("device: expected cpu or auto, because", "found cuda", ranks=ranks,
                         settings=["device=cuda"])
        self.assertFalse(self.run_folder.exists())
        self.assertIn("device: CPU, because", self.pretrain(self.run_folder))
        self.assertIn("device: CPU, as configured",
                      self.pretrain(self.folder / "cpu", settings=["device=cpu"]))

    def test_ranks(self):
        self.refuses("3", ranks=3)
        self.refuses("4", "8", ranks=8)

    def test_config(self):
        config = self.folder / "unknown.textproto"
        config.write_text("train {\n  step: 3\n}\n")
        self.refuses(f"{config}:2:", "step", config=config)
        self.refuses("train.step", settings=["train.step=3"])
        self.refuses("steps", "many", settings=["train.steps=many"])
        self.refuses(self.folder / "missing", config=self.folder / "missing")

    def test_run_folder(self):
        self.refuses(self.config, run=self.config / "run")
        foreign = self.folder / "foreign"
        foreign.mkdir()
        (foreign / "thesis.txt").write_text("mine")
        self.refuses(foreign, run=foreign)
        self.assertEqual([file.name for file in foreign.iterdir()], ["thesis.txt"])

    def test_two_jobs_in_one_folder(self):
        first = self.start(self.run_folder, settings=["train.steps=100000"])
        first.reach(3)
        self.refuses(self.run_folder, first.process.pid, settings=["train.steps=100000"])
        first.process.terminate()
        self.assertEqual(first.finish(), 75)

    def test_other_config_on_resume(self):
        self.pretrain(self.run_folder)
        self.refuses("model.width", 16, 32, settings=["model.width=32"])
        self.refuses("train.seed", settings=["train.seed=8"])
        self.assertEqual(checkpoints(self.run_folder)[-1].name, "step-00000012")
        self.pretrain(self.run_folder, settings=["train.steps=14"])
        self.assertEqual(losses(self.run_folder)[-1]["step"], 14)

    def test_usage(self):
        for arguments in ([], ["--config", self.config], ["--nonsense"]):
            self.assert_usage(arguments)

    def assert_usage(self, arguments):
        for ranks in (1, 2):
            command = self.command("unused", ranks=ranks)
            done = self.run_command(command[:command.index("--config")] + list(map(str, arguments)))
            self.assertEqual(done.returncode, 2, done.stderr)
            told = [line for line in done.stderr.splitlines() if "--config" in line or "--data" in line]
            self.assertEqual(len(told), 1, done.stderr)


if __name__ == "__main__":
    unittest.main()
