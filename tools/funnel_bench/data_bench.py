#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Figures of the way from text to a training step on this machine: building shards on one rank and
on two, reading them, and what a step of a short training run waits for data.

    tools/funnel_bench/data_bench.py PROGRAMS TEXT [--parts building,reading,training] [--work FOLDER]

PROGRAMS is the folder of the built programs, TEXT one that tools/corpus/fetch_text.sh made. The text
counts --copies times. Needs about three bytes of space for each byte of text, in --work.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ("electra-B4-4-4H768", "electra-L24H1024")


class Bench:
    def __init__(self, arguments, work):
        self.arguments, self.work = arguments, work
        self.vocabulary = work / "vocab.txt"

    def run(self, program, *arguments, ranks=1, log=None):
        launcher = ["mpirun", "--oversubscribe", "-np", str(ranks)]
        if os.geteuid() == 0:
            launcher.append("--allow-run-as-root")
        line = [self.arguments.programs / program, *map(str, arguments)]
        if ranks > 1:
            line = [*launcher, *line]
        result = subprocess.run(line, capture_output=True, text=True, check=False)
        if result.returncode:
            raise SystemExit(result.stdout + result.stderr)
        if log is not None:
            print(log + result.stdout.rstrip())
        return result.stdout

    def build(self, seq_len, ranks, name):
        output = self.work / name
        shutil.rmtree(output, ignore_errors=True)
        # The same files again and again are different inputs.
        texts = []
        for copy in range(self.arguments.copies):
            link = self.work / f"text-{copy}"
            if not link.exists():
                link.symlink_to(self.arguments.text.resolve())
            texts.append(link)
        said = self.run("funnel-shard", "build", "--vocab", self.vocabulary, "--seq-len", seq_len,
                        "--output", output, *texts, ranks=ranks)
        found = re.search(r"([\d.]+) MB/s; ([\d.]+) MB/s of CPU time", said)
        return output, [float(number) for number in found.groups()]

    def builds(self):
        print("building: ranks, MB/s, MB/s of processor time; medians")
        for ranks in (1, 2):
            speeds = [self.build(512, ranks, "data-512")[1] for _ in range(self.arguments.repeats)]
            print(f"  {ranks}  " + "  ".join(f"{statistics.median(all_):.1f}" for all_ in zip(*speeds)))

    def reading(self):
        if not (self.work / "data-512").exists():
            self.build(512, 2, "data-512")
        self.run("funnel-reader-bench", "--data", self.work / "data-512", log="reading, single tokens masked\n")
        said = self.run("funnel-reader-bench", "--data", self.work / "data-512", "--whole-words",
                        log="reading, whole words masked\n")
        return float(re.search(r"reader: ([\d.]+) million", said).group(1)) * 1e6

    def feeding(self, tokens_per_second):
        """By arithmetic alone: no accelerator is measured."""
        for model in MODELS:
            said = self.run("funnel-inspect", "model", "--config", ROOT / f"configs/{model}.textproto")
            gflop = float(re.search(r"forward and backward +([\d.,]+)", said).group(1).replace(",", ""))
            flop_per_token = gflop * 1e9 / 512
            device = self.arguments.assumed_tflops * 1e12 / flop_per_token
            print(f"feeding {model}: {flop_per_token / 1e6:.0f} MFLOP/token; at an assumed "
                  f"{self.arguments.assumed_tflops:.0f} TFLOP/s a device takes {device / 1e3:.0f} thousand tokens/s: "
                  f"one reading core feeds {tokens_per_second / device:.0f}")

    def training(self):
        data, _ = self.build(128, 2, "data-128")
        for ranks in (1, 2):
            run = self.work / f"run-{ranks}"
            shutil.rmtree(run, ignore_errors=True)
            fields = (f"train.steps={self.arguments.steps}", "train.log_every_steps=10",
                      "train.eval_batches=0", "optimizer.warmup_steps=0")
            self.run("funnel-pretrain", "--config", ROOT / "configs/quickstart.textproto", "--data",
                     data, "--run", run, *(f"--set={field}" for field in fields), ranks=ranks)
            lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
            waits = [line["data_wait_share"] for line in lines if line["kind"] == "train"]
            print(f"training on {ranks} rank(s), share of the time that waits for data, by 10 steps: "
                  f"first {waits[0]:.2g}; then median {statistics.median(waits[1:]):.2g}, "
                  f"most {max(waits[1:]):.2g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--parts", default="building,reading,training", help="what to measure")
    parser.add_argument("--work", type=pathlib.Path, help="folder for everything that is made; default: a new one")
    parser.add_argument("--copies", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100, help="of training")
    parser.add_argument("--assumed-tflops", type=float, default=400, help="of one accelerator, in training")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        bench = Bench(arguments, pathlib.Path(folder))
        bench.run("funnel-shard", "vocab", "--size", 8192, "--output", bench.vocabulary, arguments.text)
        parts = arguments.parts.split(",")
        if "building" in parts:
            bench.builds()
        if "reading" in parts:
            bench.feeding(bench.reading())
        if "training" in parts:
            bench.training()


if __name__ == "__main__":
    main()
