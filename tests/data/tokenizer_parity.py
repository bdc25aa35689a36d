#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the ids of `funnel-shard encode` with those of huggingface/tokenizers (PyPI), line by
line: BertNormalizer, BertPreTokenizer and WordPiece, lower-cased and cased, with accents stripped,
kept, and as lower-casing decides.

    tools/test_python.sh tests/data/tokenizer_parity.py PROGRAM              what the tests run
    tools/test_python.sh tests/data/tokenizer_parity.py PROGRAM --fuzz N     N random lines instead
    tools/test_python.sh tests/data/tokenizer_parity.py PROGRAM FILE...      the lines of files instead
"""

import argparse
import itertools
import os
import pathlib
import random
import subprocess
import sys
import tempfile

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers  # noqa: E402

SPECIAL = ["<pad>", "<unk>", "<cls>", "<sep>", "<mask>"]
BATCH = 20000
ROOT = pathlib.Path(__file__).resolve().parents[2]


class Rules:
    """One choice of rules, for both tokenizers."""

    def __init__(self, lower_case, strip_accents, max_word_chars=100):
        self.lower_case, self.strip_accents = lower_case, strip_accents
        self.max_word_chars = max_word_chars

    def options(self):
        accents = {True: ["--strip-accents"], False: ["--keep-accents"], None: []}
        return ["--lower-case" if self.lower_case else "--cased", *accents[self.strip_accents],
                "--max-word-chars", str(self.max_word_chars)]

    def reference(self, pieces):
        model = models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="<unk>",
                                 max_input_chars_per_word=self.max_word_chars)
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = normalizers.BertNormalizer(
            lowercase=self.lower_case, strip_accents=self.strip_accents)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        return tokenizer


ALL_RULES = [Rules(*both) for both in itertools.product([True, False], [True, False, None])]
# Without the two that are said in other words only.
DISTINCT_RULES = [rules for rules in ALL_RULES if rules.strip_accents is not None]


class Comparison:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.lines = 0

    def encode(self, pieces, text, options=()):
        vocabulary = pathlib.Path(self.folder, "vocab.txt")
        vocabulary.write_bytes("".join(piece + "\n" for piece in pieces).encode())
        return subprocess.run([self.program, "encode", "--vocab", vocabulary, *options], input=text,
                              capture_output=True, check=False)

    def compare(self, name, pieces, lines, all_rules=DISTINCT_RULES):
        """Fails at the first line whose ids differ. Lines are texts without '\\n'."""
        for rules in all_rules:
            reference = rules.reference(pieces)
            for begin in range(0, len(lines), BATCH):
                batch = lines[begin:begin + BATCH]
                text = "".join(line + "\n" for line in batch).encode()
                ours = self.encode(pieces, text, rules.options())
                assert ours.returncode == 0, ours.stderr
                found = ours.stdout.decode().split("\n")
                assert len(found) == len(batch) + 1 and found[-1] == ""
                theirs = reference.encode_batch_fast(batch, add_special_tokens=False)
                for line, ids, expected in zip(batch, found, theirs):
                    if ids != " ".join(map(str, expected.ids)):
                        sys.exit(f"{name}, {rules.options()}: {line!r}:\n  expected "
                                 f"{[pieces[i] for i in expected.ids]}\n  found    "
                                 f"{[pieces[int(i)] for i in ids.split()]}")
            self.lines += len(lines)
        print(f"{name}: {len(lines)} lines, {len(all_rules)} rules: equal", flush=True)


def is_scalar(c):
    return not 0xD800 <= c <= 0xDFFF and c != 0x0A


def character_pieces():
    """Every code point of planes 0 and 1 begins and continues words, so that ids tell into which
    one another was mapped; so do the only ones of plane 2 that are mapped."""
    every = [chr(c) for c in itertools.chain(range(0x20, 0x20000), range(0x2F800, 0x2FA20))
             if is_scalar(c)]
    return SPECIAL + every + ["##" + c for c in every]


def interesting(pieces):
    """Code points that are no plain letter of a word under some rules, and a few that are."""
    found = set()
    references = [rules.reference(pieces) for rules in DISTINCT_RULES]
    for c in filter(is_scalar, itertools.chain(range(0x20000), range(0x2F800, 0x2FA20),
                                               range(0xE0000, 0xE0200))):
        if 0x3400 <= c <= 0x9FFF or 0xAC00 <= c <= 0xD7A3 or 0xE000 <= c <= 0xF8FF:
            continue
        text = chr(c)
        if any(r.pre_tokenizer.pre_tokenize_str(r.normalizer.normalize_str(f"a{text}b"))
               != [(f"a{text}b", (0, 3))] for r in references):
            found.add(c)
    edges = [0x3400, 0x4DBF, 0x4E00, 0x9FFF, 0xAC00, 0xD7A3, 0xE000, 0xF8FF, 0x20000, 0x2A6DF,
             0x2A700, 0x2B73F, 0x2B740, 0x2B81F, 0x2B820, 0x2B91F, 0x2B920, 0x2CEAF, 0x2CEB0,
             0x30000, 0xF0000, 0xFFFFD, 0x100000, 0x10FFFD]
    found.update(edges, range(0xAC00, 0xD7A4, 97), range(0x20, 0x110000, 4099))
    return [chr(c) for c in sorted(found) if is_scalar(c)]


def every_code_point(comparison, pieces):
    # Twelve a line: a difference still names them.
    def lines(code_points):
        texts = [f"a{chr(c)}b" for c in code_points if is_scalar(c)]
        return [" ".join(texts[i:i + 12]) for i in range(0, len(texts), 12)]

    comparison.compare("code points of planes 0 to 2", pieces, lines(range(0x30000)))
    # Private or not assigned, nearly all.
    comparison.compare("other code points", pieces, lines(range(0x30000, 0x110000)),
                       [Rules(True, True)])


def contexts(comparison, pieces, characters):
    lines = []
    for c in characters:
        lines += [f"{c}", f" {c} ", f"A{c}É{c}", f"{c}{c}\u0301x", f"中{c}中", f"x\u302E{c}\U0001D165y",
                  f"\u0947{c}\u0301\u0327", f".{c}.", f"{'x' * 62}{c}Y", f"{'. ' * 31}.{c}\u200Bz"]
    comparison.compare("contexts", pieces, lines)


def torture_lines():
    return [
        "日本語のテキスト、漢字とかな。 \U00020000\U0002A6DF\U0002B740\U0002B920\U0002CEAF\U0002CEB0 豈 \U0002F800",
        "한국어 각 힣 \u1100\u1161\u11A8 조선말", "👩‍👩‍👧‍👦 🇩🇪 ✈️ 👍🏽 \U0001FAE8 \U0001FADF",
        "e\u0301\u0323 e\u0323\u0301 a\u0308\u0304 \u0301start q\u0307\u0323 Ǖ ǖ ṩ \u0344 \u0F73",
        "İstanbul I ı İ I\u0307 DİYARBAKIR", "ΟΔΥΣΣΕΥΣ ὈΔΥΣΣΕΎΣ οδος ς Σ ΐ ΰ ᾂ",
        "zero\u200Bwidth\u200Cnon\u200Djoiner\u2060word\uFEFFmark soft\u00ADhyphen \u200F\u202Ertl",
        "".join(map(chr, range(0x20))).replace("\n", "") + "".join(map(chr, range(0x7F, 0xA1))),
        "\uFFFD a\uFFFDb \uFFFE \uFFFF \U0010FFFF \uE000", "ﬁ ﬀ Ǆ ǅ ẞ ß Å Å K Ω ½ ² Ⅷ ⅷ Ⓐ",
        "हिन्दी বাংলা ไทย ລາວ မြန်မာ العربية עברית ქართული ᏣᎳᎩ ᏸ Ა Ქ", "“x”—y… ¡¿ ‽ ⸘ ﴾ ֊ ׀ ፡ ။",
        "don't $5.00 a_b ^~`|<=>+ C++ x@y.z #tag ##tag [MASK] <mask> [UNK] <unk>",
        "a" * 99, "a" * 100, "a" * 101, "é" * 100, "é" * 101, "x" * 1_000_000,
        "ab " * 300_000, "é, " * 300_000, "." * 1_000_000, "中" * 300_000, "", " ", "\r", "\t \u3000\u2028",
    ]


def torture(comparison, pieces):
    comparison.compare("torture", pieces, torture_lines(), ALL_RULES)
    long_words = [Rules(lower, None, 3000) for lower in (True, False)]
    words = ["abc" * 999, "abc" * 1000, "abc" * 1000 + "d", "ab" * 1499 + "\U00030000"]
    comparison.compare("long words", SPECIAL + ["a", "ab", "abc", "##a", "##b", "##ca", "##bcab"],
                       words, long_words)
    # Bytes that are not UTF-8 are an error; what replaces them elsewhere leaves no trace.
    for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", b"\xf4\x90\x80\x80",
                b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\x80", b"\xe2\x82", b"\xf0\x9f\x98"):
        outcome = comparison.encode(pieces, b"fine\nab" + bad + b" z\nfine\n")
        assert outcome.returncode == 2, (bad, outcome)
        assert b"standard input:2" in outcome.stderr and b"offset 2 " in outcome.stderr, outcome.stderr
        assert outcome.stdout.count(b"\n") == 1, outcome.stdout


def fuzz(comparison, pieces, characters, count, seed):
    generator = random.Random(seed)
    plain = list("abcABC  .,'1") + ["é", "ß", "Σ", "中", "가"]
    lines = []
    for _ in range(count):
        share = generator.choice([0.0, 0.05, 0.5, 1.0])
        lines.append("".join(generator.choice(characters if generator.random() < share else plain)
                             for _ in range(generator.randrange(1, 80))))
    comparison.compare(f"random lines (seed {seed})", pieces, lines)


def lines_of(path):
    return pathlib.Path(path).read_bytes().decode().split("\n")


def files(comparison, paths):
    """With vocabularies trained on the files themselves."""
    for rules in DISTINCT_RULES:
        vocabulary = pathlib.Path(comparison.folder, "trained.txt")
        case = "--lower-case" if rules.lower_case else "--cased"
        if rules.strip_accents:
            subprocess.run([comparison.program, "vocab", "--size", "8192", case, "--output", vocabulary,
                            *paths], check=True, capture_output=True)
        pieces = lines_of(vocabulary)[:-1]
        comparison.compare(" ".join(rules.options()[:2]), pieces,
                           [line for path in paths for line in lines_of(path)], [rules])


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program")
    arguments.add_argument("files", nargs="*")
    arguments.add_argument("--fuzz", type=int, help="random lines")
    arguments.add_argument("--seed", type=int, default=1)
    arguments = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(arguments.program, folder)
        if arguments.files:
            files(comparison, arguments.files)
            return
        pieces = character_pieces()
        characters = interesting(pieces)
        if arguments.fuzz:
            for round_ in range(0, arguments.fuzz, BATCH):
                fuzz(comparison, pieces, characters, BATCH, arguments.seed + round_ // BATCH)
            return
        every_code_point(comparison, pieces)
        contexts(comparison, pieces, characters)
        torture(comparison, pieces)
        fuzz(comparison, pieces, characters, 4000, arguments.seed)
        files(comparison, sorted(ROOT.glob("docs/**/*.md")))


if __name__ == "__main__":
    main()
