#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes data/tokenizer_ranges.h: what huggingface/tokenizers' BertNormalizer and BertPreTokenizer
do with every code point, asked of the installed PyPI package itself.

Its parts follow Unicode versions of very different age, so no one version of a Unicode library
gives the same answers; and shards should not depend on the version that a machine happens to have.

    tools/unicode/bert_characters.py >data/tokenizer_ranges.h
"""

import subprocess
import unicodedata

from tokenizers import __version__, normalizers, pre_tokenizers

HEAD = """// SPDX-License-Identifier: Apache-2.0
// Code points by what huggingface/tokenizers {version} does with them (BertNormalizer,
// BertPreTokenizer). Written by tools/unicode/bert_characters.py.
#pragma once

#include <cstdint>

namespace funnel::bert_characters {{

struct Range {{
  int32_t first, last;
}};

// Every `stride`-th code point from `first` to `last` lower-cases to itself + `by`.
struct Lowered {{
  int32_t first, last, stride, by;
}};

struct Marks {{
  int32_t first, last, combining_class;
}};
"""


def bert(**on):
    steps = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**steps, **on}).normalize_str


CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
clean, set_apart = bert(clean_text=True), bert(handle_chinese_chars=True)
strip, lower = bert(strip_accents=True), bert(lowercase=True)
decompose = normalizers.NFD().normalize_str
split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str


def ranges(code_points):
    found = []
    for c in code_points:
        if found and found[-1][1] == c - 1:
            found[-1][1] = c
        else:
            found.append([c, c])
    return found


def lowered():
    """Runs of equal distance to the lower case. U+0130 alone becomes two code points."""
    runs = []
    for c in CODE_POINTS:
        low = lower(chr(c))
        if low == chr(c) or len(low) > 1:
            continue
        by = ord(low) - c
        if runs and runs[-1][3] == by and c - runs[-1][1] in (1, 2):
            stride = c - runs[-1][1]
            if runs[-1][2] in (0, stride):
                runs[-1][1:3] = [c, stride]
                continue
        runs.append([c, c, 0, by])
    return [[first, last, stride or 1, by] for first, last, stride, by in runs]


def is_reordered(mark):
    """Whether NFD moves this mark around others, which it does where the class is not 0."""
    return any(decompose(text) != text for text in ("a" + mark + "\u0334", "a\u0301" + mark))


def marks():
    """Marks that are ordered by class but not dropped as accents."""
    runs = []
    for c in CODE_POINTS:
        mark = chr(c)
        if strip(mark) != mark or not is_reordered(mark):
            continue
        combining_class = unicodedata.combining(mark)
        assert combining_class > 0
        if runs and runs[-1][1] == c - 1 and runs[-1][2] == combining_class:
            runs[-1][1] = c
        else:
            runs.append([c, c, combining_class])
    return runs


def is_hangul_syllable(c):
    return 0xAC00 <= c <= 0xD7A3


def print_table(kind, name, comment, rows, hexadecimal=2):
    rows = ", ".join("{" + ", ".join(f"0x{n:04X}" if i < hexadecimal else str(n)
                                     for i, n in enumerate(row)) + "}" for row in rows)
    return f"\n// {comment}\ninline constexpr {kind} {name}[] = {{{rows}}};\n"


def header():
    text = HEAD.format(version=__version__)
    for name, comment, holds in (
        ("kDropped", "Control characters, and others as useless.", lambda c: clean(chr(c)) == ""),
        ("kSpaces", "White space.", lambda c: clean(chr(c)) == " "),
        ("kIdeographs", "Words of one character.", lambda c: set_apart(chr(c)) != chr(c)),
        ("kPunctuation", "Words of one character, after the steps above.",
         lambda c: split(f"a{chr(c)}b")[1:-1] != [] and clean(chr(c)) == chr(c)),
        ("kAccents", "Dropped after decomposition.",
         lambda c: strip(chr(c)) == "" and decompose(chr(c)) == chr(c)),
        ("kDecomposed", "Changed by canonical decomposition; besides these, Hangul syllables.",
         lambda c: decompose(chr(c)) != chr(c) and not is_hangul_syllable(c)),
    ):
        text += print_table("Range", name, comment, ranges([c for c in CODE_POINTS if holds(c)]))
    text += print_table("Lowered", "kLowered", "Lower case; besides these, U+0130.", lowered())
    text += print_table("Marks", "kMarks", "Kept, but ordered by class in decomposed text.", marks())
    return text + "\n}  // namespace funnel::bert_characters\n"


print(subprocess.run(["clang-format-14", "--style=file", "--assume-filename=data/tokenizer_ranges.h"],
                     input=header(), capture_output=True, text=True, check=True).stdout, end="")
