#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the prose of one unpacked Debian package as plain text.

The output has one sentence a line; an empty line ends a document. A paragraph is kept when it looks
like prose (at least five words, four letters in five characters) and was not seen before.

    extract.py dictd|html|rdata|sword|wordnet SOURCE OUTPUT.txt
"""

import argparse
import os
import pathlib
import re
import sys

import readers

READERS = {
    "dictd": readers.read_dictd,
    "html": readers.read_html,
    "rdata": readers.read_rdata,
    "sword": readers.read_sword,
    "wordnet": readers.read_wordnet,
}
MIN_WORDS = 5
MIN_LETTER_SHARE = 0.8
MAX_PARAGRAPHS = 40  # longer documents are cut, so that a held-out share of them is a fair sample

# A full stop, question or exclamation mark, closing quotes, then a new sentence's first character.
SENTENCE_END = re.compile(r"([.!?][\"'”’)\]]*)\s+(?=[\"'“‘(\[]?[A-Z0-9])")
# What looks like an end and is not: titles, initials, Latin abbreviations.
ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘\[])(?:Mr|Mrs|Messrs|Dr|St|Rev|Col|Capt|Prof|Esq|Sir|Ps|Psa|ver|vol|No|cf|etc|viz"
    r"|i\.e|e\.g|[A-Za-z])\.$"
)


def sentences(paragraph):
    """Splits a paragraph by a simple rule; abbreviations do not end a sentence."""
    start = 0
    for match in SENTENCE_END.finditer(paragraph):
        piece = paragraph[start : match.end(1)]
        if not ABBREVIATION.search(piece):
            yield piece
            start = match.end()
    yield paragraph[start:]


def is_prose(paragraph):
    characters = len(paragraph) - paragraph.count(" ")
    letters = sum(map(str.isalpha, paragraph))
    return paragraph.count(" ") + 1 >= MIN_WORDS and letters >= MIN_LETTER_SHARE * characters


def write_documents(documents, out):
    seen = set()
    for document in documents:
        kept = 0
        for paragraph in document:
            if paragraph in seen or not is_prose(paragraph):
                continue
            seen.add(paragraph)
            if kept > 0 and kept % MAX_PARAGRAPHS == 0:
                out.write("\n")
            kept += 1
            for sentence in sentences(paragraph):
                out.write(sentence + "\n")
        if kept:
            out.write("\n")
    return len(seen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("format", choices=sorted(READERS))
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    args = parser.parse_args()
    if not args.source.exists():
        sys.exit(f"extract.py: {args.source} does not exist")
    partial = args.output.with_suffix(".partial")
    with open(partial, "w", encoding="utf-8") as out:
        paragraphs = write_documents(READERS[args.format](args.source), out)
    if paragraphs == 0:
        sys.exit(f"extract.py: found no prose in {args.source}")
    os.replace(partial, args.output)


if __name__ == "__main__":
    main()
