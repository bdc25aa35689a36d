# SPDX-License-Identifier: Apache-2.0
"""Runs the stages of tools/gpu_check.sh, which has made sure that there is a device."""

import argparse
import pathlib
import re
import sys

import page
from runner import Check
from sizes import SIZES
from stages import Stages

ROOT = pathlib.Path(__file__).resolve().parents[2]


def parse():
    parser = argparse.ArgumentParser(prog="gpu_check.sh", description="Checks and measures this machine's GPU.")
    parser.add_argument("--programs", required=True, help="folder of the programs and test programs")
    parser.add_argument("--out", help="the page (docs/benchmarks/<device>.md)")
    parser.add_argument("--work", default="gpu-check", help="folder for logs and results; a later call adds to them")
    parser.add_argument("--data", default=ROOT / "shards", help="shards that a small model trains on")
    parser.add_argument("--stages", help="only these, by name, separated by commas")
    parser.add_argument("--minutes", type=float, default=20, help="for all stages together")
    parser.add_argument("--sizes", choices=SIZES, default="full", help="tiny: for the test of this check itself")
    parser.add_argument("--host-runtime", action="store_true", help="the programs run on tests/cudacpu; the page says so")
    options = parser.parse_args()
    options.root = ROOT
    if options.host_runtime and not options.out:
        parser.error("--host-runtime needs --out: what is no GPU's has no place in docs/benchmarks")
    return options


def file_name(device):
    """NVIDIA H100 80GB HBM3 -> nvidia-h100-80gb-hbm3"""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")


def writer_of(options):
    def write(results):
        device = page.device_name(results)
        out = pathlib.Path(options.out) if options.out else ROOT / "docs/benchmarks" / f"{file_name(device)}.md"
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page.text(results, options.host_runtime))

    return write


def main():
    options = parse()
    check = Check(options.work, options.minutes, writer_of(options))
    stages = Stages(options, check.results).in_order()
    chosen = options.stages.split(",") if options.stages else [name for name, _, _ in stages]
    unknown = set(chosen) - {name for name, _, _ in stages}
    if unknown:
        sys.exit(f"gpu_check: no stage is called {', '.join(sorted(unknown))}")
    for name, seconds, work in stages:
        if name in chosen:
            check.run(name, seconds, work)
    sys.exit(0 if check.passed() else 1)


if __name__ == "__main__":
    main()
