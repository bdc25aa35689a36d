#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the vocabulary of `funnel-shard vocab` with that of huggingface/tokenizers' (PyPI)
WordPieceTrainer on the same text: the same pieces with the same ids.

There, the ids of characters that continue words follow a hash table, and with them go ties between
pairs of equal counts. So that there is one result to compare with, it is given the special pieces
and the single characters, in our order, as pieces to begin with.

    tools/test_python.sh tests/data/vocabulary_parity.py PROGRAM              what the tests run
    tools/test_python.sh tests/data/vocabulary_parity.py PROGRAM FILE...      on these texts instead
"""

import argparse
import os
import pathlib
import random
import subprocess
import sys
import tempfile

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers  # noqa: E402

SPECIAL = ["<pad>", "<unk>", "<cls>", "<sep>", "<mask>"]
ROOT = pathlib.Path(__file__).resolve().parents[2]


def reference(lines, size, min_frequency, lower_case):
    normalizer = normalizers.BertNormalizer(lowercase=lower_case)
    splitter = pre_tokenizers.BertPreTokenizer()
    first, continuing = set(), set()
    for line in lines:
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(line)):
            first.update(word)
            continuing.update(word[1:])
    begin = SPECIAL + sorted(first) + ["##" + character for character in sorted(continuing)]
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    trainer = trainers.WordPieceTrainer(vocab_size=size, min_frequency=min_frequency,
                                        special_tokens=begin, show_progress=False)
    tokenizer.train_from_iterator(lines, trainer)
    pieces = tokenizer.get_vocab()
    return sorted(pieces, key=pieces.get)


def ours(program, path, size, min_frequency, lower_case, options):
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder) / "vocab.txt"
        subprocess.run([program, "vocab", "--size", str(size), "--min-frequency",
                        str(min_frequency), "--lower-case" if lower_case else "--cased",
                        *options, "--output", str(output), str(path)],
                       check=True, stdout=subprocess.DEVNULL)
        return output.read_text(encoding="utf-8").split("\n")[:-1]


def compare(program, name, path, size, min_frequency, lower_case):
    lines = path.read_text(encoding="utf-8").split("\n")
    expected = reference(lines, size, min_frequency, lower_case)
    # The number of threads changes nothing.
    for options in [], ["--threads", "1"], ["--threads", "3"]:
        found = ours(program, path, size, min_frequency, lower_case, options)
        if found == expected:
            continue
        at = next((i for i, pair in enumerate(zip(found, expected)) if pair[0] != pair[1]),
                  min(len(found), len(expected)))
        print(f"{name}, {' '.join(options)}: {len(found)} pieces, expected {len(expected)}; id {at}: "
              f"found {found[at:at + 3]}, expected {expected[at:at + 3]}")
        return False
    print(f"{name}: the same {len(expected)} pieces")
    return True


def random_text(alphabet, longest, words, lines, seed):
    """Words of few letters, so that pairs overlap, tie, and meet again after being joined."""
    draw = random.Random(seed)
    kinds = ["".join(draw.choice(alphabet) for _ in range(draw.randint(1, longest)))
             for _ in range(words)]
    return "\n".join(" ".join(draw.choice(kinds[:draw.randint(1, words)]) for _ in range(12))
                     for _ in range(lines)) + "\n"


def texts(folder):
    def write(name, text):
        path = folder / name
        path.write_text(text, encoding="utf-8")
        return path

    manual = "\n\n".join(path.read_text(encoding="utf-8")
                         for path in sorted((ROOT / "docs").glob("*.md")))
    schema = (ROOT / "configs" / "schema.proto").read_text(encoding="utf-8")
    yield "manual", write("manual.txt", manual + schema), 3000, 2, True
    yield "manual, cased, every pair", write("cased.txt", manual), 2000, 1, False
    for seed, (alphabet, longest) in enumerate(
            [("a", 9), ("ab", 14), ("abc", 20), ("abcdefgh", 8), ("αβγδ的ü", 12), ("aab", 40)]):
        text = random_text(alphabet, longest, 400, 300, seed)
        yield f"words of {alphabet}", write(f"random-{seed}.txt", text), 1200, 1, True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=30000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cases = list(texts(pathlib.Path(folder)))
        if args.files:
            cases = [(str(path), path, args.size, 2, True) for path in args.files]
        results = [compare(args.program, *case) for case in cases]
    sys.exit(0 if results and all(results) else 1)


if __name__ == "__main__":
    main()
