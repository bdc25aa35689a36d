# SPDX-License-Identifier: Apache-2.0
"""Readers of the text formats that Debian packages carry.

Each reader yields documents; a document is a list of paragraphs, each one string of plain text.
Dictionary entries are short, so neighbours in the alphabet share a document.
"""

import gzip
import html
import html.parser
import pathlib
import re
import struct
import zlib

ENTRIES_PER_DOCUMENT = 20

# Marks of a dictionary that are not prose: sources, topics, dates, braces around references.
DICTD_NOISE = re.compile(
    r"\[(?:\d{4} [A-Z][\w.+ ]*|PJC|WordNet[^\]]*|Century[^\]]*|\{Jargon File\}|Webster[^\]]*)\]"
    r"|^\s*<[a-z][^>]*>|\((?:19|20)\d\d-\d\d-\d\d\)|[{}]"
)
ETYMOLOGY = re.compile(r"\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]")
FIELD = re.compile(r"\((?:[A-Z][A-Za-z]*\.(?: & | )?)+(?:[A-Z][a-z]+)?\)")
SENSE_NUMBER = re.compile(r"^(?:\d+\.|\([a-z]\))\s+")


def dictd_paragraphs(block):
    """The indented lines of one block, without noise, and its head-word if it starts an entry."""
    lines = block.split("\n")
    indented = [line for line in lines if line.startswith("  ")]
    headline = next((line for line in lines if line.strip() and not line.startswith(" ")), None)
    text = " ".join(line.strip() for line in indented)
    text = ETYMOLOGY.sub(" ", FIELD.sub("", DICTD_NOISE.sub("", text)))
    return headline, SENSE_NUMBER.sub("", " ".join(text.split()))


def read_dictd(path):
    """A dictd database (*.dict.dz): head-words at the margin, bodies indented, blank lines."""
    text = gzip.open(path, "rt", encoding="utf-8", errors="replace").read()
    document, entries, head = [], 0, None
    for block in text.split("\n\n"):
        headline, paragraph = dictd_paragraphs(block)
        if headline is not None:
            entries += 1
            if entries % ENTRIES_PER_DOCUMENT == 0 and document:
                yield document
                document = []
            head = re.split(r"\s+\\|%%%", headline)[0].strip()
        if head is None or head.startswith("00-database") or not paragraph:
            continue
        # The word and what it means belong together.
        document.append(f"{head}: {paragraph}" if headline is not None else paragraph)
    if document:
        yield document


def serialised_strings(data):
    """The strings of an R character vector in XDR serialisation, version 3."""
    (encoding_bytes,) = struct.unpack_from(">i", data, 14)
    at = 18 + encoding_bytes
    kind, count = struct.unpack_from(">ii", data, at)
    if kind & 0xFF != 16:
        return
    at += 8
    for _ in range(count):
        _, length = struct.unpack_from(">ii", data, at)
        at += 8
        yield data[at : at + max(length, 0)].decode("utf-8", "replace")
        at += max(length, 0)


def read_rdata(path):
    """R's lazy-load data (Rdata.rdb): chunks of 4 length bytes and a zlib stream, one a novel."""
    rest = pathlib.Path(path).read_bytes()
    while len(rest) > 4:
        stream = zlib.decompressobj()
        data = stream.decompress(rest[4:])
        rest = stream.unused_data
        document, paragraph = [], []
        for line in [*serialised_strings(data), ""]:
            if line.strip():
                paragraph.append(line.strip())
                continue
            text = " ".join(paragraph).replace("_", "")
            paragraph = []
            if re.match(r"(?i)chapter\b", text) and document:
                yield document
                document = []
            elif text:
                document.append(text)
        if document:
            yield document


def sword_blocks(folder):
    """The uncompressed blocks of a SWORD zCom module; its index has 12-byte records."""
    for index in sorted(pathlib.Path(folder).glob("*.?zs")):
        data = index.with_name(index.name[:-1] + "z").read_bytes()
        for offset, size, _ in struct.iter_unpack("<III", index.read_bytes()):
            if size:
                yield zlib.decompress(data[offset : offset + size]).decode("utf-8", "replace")


def read_sword(folder):
    """A SWORD commentary in OSIS markup: a document is a chapter."""
    for block in sword_blocks(folder):
        for chapter in re.split(r"(?=<chapter [^>]*sID=)", block):
            document = []
            for part in re.split(r"<(?:br|p|div|title|/title|lb|table|row|/table)\b[^>]*>|\0", chapter):
                text = html.unescape(re.sub(r"<[^>]*>", "", part))
                if text.strip():
                    document.append(" ".join(text.split()))
            if document:
                yield document


WORDNET_SENSE = re.compile(r"(?:^|\s)(?:(?:n|v|adj|adv)(?=[ :]))?\s*(?:\d+)?: ")


def read_wordnet(path):
    """WordNet as a dictd database: head-words at the margin, numbered senses, no empty lines."""
    text = gzip.open(path, "rt", encoding="utf-8", errors="replace").read()
    document = []
    for number, entry in enumerate(re.split(r"\n(?=\S)", text)):
        head, _, body = entry.partition("\n")
        if head.startswith("00-database"):
            continue
        body = re.sub(r"\[(?:syn|ant|also)[^\]]*\]|[{}]", "", " ".join(body.split()))
        senses = [" ".join(sense.split()) for sense in WORDNET_SENSE.split(body)]
        document += [f"{head}: {sense}" for sense in senses if sense]
        if number % ENTRIES_PER_DOCUMENT == 0 and document:
            yield document
            document = []
    if document:
        yield document


class Paragraphs(html.parser.HTMLParser):
    """The text of a page, cut at the borders of blocks, without code and what leads elsewhere."""

    BLOCKS = frozenset(
        "address article aside blockquote body br caption dd div dl dt figcaption figure footer form h1"
        " h2 h3 h4 h5 h6 header hr li main ol p section table tbody td th thead tr ul".split()
    )
    SKIPPED = frozenset("head pre script style nav footer button svg".split())

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.found, self.pieces, self.skipping = [], [], []

    def end_paragraph(self):
        text = " ".join("".join(self.pieces).split())
        self.pieces = []
        if text:
            self.found.append(text)

    def handle_starttag(self, tag, attrs):
        if tag in self.BLOCKS or tag in self.SKIPPED:
            self.end_paragraph()
        if tag in self.SKIPPED:
            self.skipping.append(tag)

    def handle_endtag(self, tag):
        if tag in self.BLOCKS or tag in self.SKIPPED:
            self.end_paragraph()
        if tag in self.skipping:
            del self.skipping[self.skipping.index(tag) :]

    def handle_data(self, data):
        if not self.skipping:
            self.pieces.append(data)


def read_html(folder):
    """The pages below a folder, a document each; those of translations are left out."""
    for path in sorted(pathlib.Path(folder).rglob("*.html")):
        if "translations" in path.parts:
            continue
        page = Paragraphs()
        page.feed(path.read_text(encoding="utf-8", errors="replace"))
        page.close()
        page.end_paragraph()
        if page.found:
            yield page.found
