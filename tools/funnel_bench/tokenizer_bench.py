#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Processor time of `funnel-shard encode` beside that of huggingface/tokenizers (PyPI) on the same
text, in turns, on one core. The former is measured from start to end, with reading the vocabulary
and writing ids as text; of the latter only encode_batch_fast() counts.

    tools/test_python.sh tools/funnel_bench/tokenizer_bench.py PROGRAM VOCABULARY FILE...
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer, __version__, models, normalizers, pre_tokenizers  # noqa: E402

LINES = 1000  # in a batch


def reference(vocabulary):
    pieces = vocabulary.read_bytes().decode().split("\n")[:-1]
    unknown = "[UNK]" if "[UNK]" in pieces else "<unk>"
    model = models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token=unknown)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def seconds_of_reference(tokenizer, lines):
    tokens = 0
    begin = time.process_time()
    for i in range(0, len(lines), LINES):
        batch = tokenizer.encode_batch_fast(lines[i:i + LINES], add_special_tokens=False)
        tokens += sum(map(len, batch))
    return time.process_time() - begin, tokens


def seconds_of_program(program, vocabulary, text):
    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    begin = used()
    subprocess.run([program, "encode", "--vocab", vocabulary], input=text, check=True,
                   stdout=subprocess.DEVNULL)
    return used() - begin


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split(".")[0])
    arguments.add_argument("program")
    arguments.add_argument("vocabulary", type=pathlib.Path)
    arguments.add_argument("files", nargs="+", type=pathlib.Path)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments = arguments.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    text = b"".join(path.read_bytes() for path in arguments.files)
    lines = text.decode().split("\n")
    tokenizer = reference(arguments.vocabulary)
    theirs, ours, tokens = [], [], 0
    for _ in range(arguments.repeats):
        seconds, tokens = seconds_of_reference(tokenizer, lines)
        theirs.append(seconds)
        # The program takes a hundredth of the time: more of its runs beside each of the others.
        ours += [seconds_of_program(arguments.program, arguments.vocabulary, text) for _ in range(5)]
    print(f"{len(text) / 1e6:.1f} MB, {tokens / 1e6:.1f} million tokens; medians of processor time")
    for name, seconds in ((f"tokenizers {__version__}", theirs), ("funnel-shard encode", ours)):
        median = statistics.median(seconds)
        print(f"{name}: {median:.2f} s, {len(text) / 1e6 / median:.1f} MB/s, "
              f"{tokens / 1e6 / median:.2f} million tokens/s")
    print(f"ratio: {statistics.median(theirs) / statistics.median(ours):.0f}")


if __name__ == "__main__":
    main()
