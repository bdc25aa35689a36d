# SPDX-License-Identifier: Apache-2.0
"""Writes docs/benchmarks/kernels-predicted.md, or checks what it says against this build.

    cmake --build BUILD --target kernel_report     writes the page; BUILD has FUNNEL_CUDA=ON
    kernel_report.py --step PROGRAM --objects FILE... [--check]

The step program (tests/kernel_report/step_statistics.cc) runs a training step on the host runtime."""

import argparse
import collections
import pathlib
import sys

import cubins
import tables

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks" / "kernels-predicted.md"
CONFIG = ROOT / "configs" / "electra-B4-4-4H768.textproto"

# A model that the host runtime interprets in seconds, with rows as regular as those of the real one.
SMALL = ["model.vocab_size=1024", "model.width=128", "model.heads=2", "model.head_width=64",
         "model.inner=512", "model.blocks=1,2", "model.decoder=1",
         "objective.generator_width_ratio=0.5", "objective.predictions=10", "data.seq_len=64",
         "train.global_batch=4", "train.logical_shards=2"]
REAL = ["model.vocab_size=30522", "train.global_batch=64", "train.logical_shards=1"]
REHEARSED_BLOCKS = 2

COUNTS = ("bytes", "sectors", "fewest_sectors", "passes", "fewest_passes", "flops", "double_flops",
          "tensor_flops")


class Statistics(collections.namedtuple("Statistics", ("calls", "threads", "shared") + COUNTS)):
    """Of one kernel in one step."""

    def sectors_per_32_bytes(self):
        return 32 * self.sectors / self.bytes if self.bytes else None

    def scatter(self):
        return self.sectors / self.fewest_sectors if self.fewest_sectors else None

    def conflicts(self):
        return self.passes / self.fewest_passes if self.fewest_passes else None


def step(program, blocks, settings):
    """Mangled kernel name → Statistics."""
    found = {}
    for line in tables.lines_of([program, str(blocks), str(CONFIG), *settings]):
        name, *numbers = line.split()
        found[name] = Statistics(*map(int, numbers))
    return found


def is_for_tests(name):
    """Kernels in double are there for gradient checks."""
    return "double" in name


def measured_rows(measured, names):
    return {names[kernel]: [one.sectors_per_32_bytes(), one.scatter(), one.conflicts()]
            for kernel, one in measured.items() if kernel in names}


def problems(page, kernels, names, measured):
    """Where this build is worse than the page, or other: one line each."""
    said = tables.read(page)
    for kernel, one in sorted(kernels.items(), key=lambda item: names[item[0]]):
        if one.spilled() > 0:
            yield f"{names[kernel]} spills {one.spilled()} bytes of registers"
    listed = {row[0] for row in said[tables.RESOURCES]}
    exist = {name for name in names.values() if not is_for_tests(name)}
    for name in sorted(exist - listed):
        yield f"{name} is missing from {PAGE.name}"
    for name in sorted(listed - exist):
        yield f"{name} is listed in {PAGE.name}, but does not exist"
    allowed = {row[0]: [tables.number(cell) for cell in row[1:]] for row in said[tables.MEASURED]}
    for name, found in sorted(measured_rows(measured, names).items()):
        if is_for_tests(name) or name not in allowed:
            continue
        for what, now, then in zip(tables.MEASURED[1:], found, allowed[name]):
            if now is not None and now > 1.02 * (then or 0) + 0.01:
                yield f"{name}: {what}: at most {then} so far, now {now:.2f}"


def main():
    parser = argparse.ArgumentParser(description="Writes or checks docs/benchmarks/kernels-predicted.md.")
    parser.add_argument("--step", required=True, help="the program step_statistics")
    parser.add_argument("--objects", nargs="+", required=True, help="objects that nvcc made")
    parser.add_argument("--check", action="store_true", help="only compare the page with this build")
    arguments = parser.parse_args()

    kernels = cubins.kernels(arguments.objects)
    names = cubins.short_names(kernels)
    measured = step(arguments.step, "all", SMALL)
    if arguments.check:
        found = list(problems(PAGE.read_text(), kernels, names, measured))
        for line in found:
            print(line)
        if found:
            print("If that is meant: cmake --build BUILD --target kernel_report writes the page anew.")
        return 1 if found else 0
    rehearsed = step(arguments.step, REHEARSED_BLOCKS, REAL)
    PAGE.write_text(tables.page(kernels, names, measured_rows(measured, names), rehearsed, SMALL,
                                REHEARSED_BLOCKS))
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
