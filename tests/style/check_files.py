# SPDX-License-Identifier: Apache-2.0
"""Holds every file to the house rules that need no compiler: licence line, size, clean line ends,
names that say something, nothing left half done."""

import re

import project_files

MAX_LINES = 400
CODE = (".h", ".cc", ".cu", ".cuh", ".py", ".sh", ".cmake", ".proto", ".sbatch", "CMakeLists.txt", ".ci/run")
SPDX = "SPDX-License-Identifier: Apache-2.0"
VAGUE = re.compile(r"(?:^|[/_.-])(?:utils?|misc|helpers?|manager|new|old)(?=$|[/_.-])")
# Split, so that this file does not name what it forbids.
LEFT_OVERS = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|GTEST_" r"SKIP|DIS" r"ABLED_")


def check_code(path, lines):
    if not any(SPDX in line for line in lines[:3]):
        yield f"{path}: no licence line ({SPDX}) among the first three"
    if len(lines) > MAX_LINES:
        yield f"{path}: {len(lines)} lines, at most {MAX_LINES} are expected"
    for number, line in enumerate(lines, 1):
        if LEFT_OVERS.search(line):
            yield f"{path}:{number}: left over: {line.strip()}"


def check_text(path, text, lines):
    if text and not text.endswith("\n"):
        yield f"{path}: does not end with a line end"
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield f"{path}:{number}: trailing white space"
        if "\t" in line and not path.endswith(".tsv"):
            yield f"{path}:{number}: a tab"


def check(files):
    for path, text in files.items():
        if VAGUE.search(path):
            yield f"{path}: the name does not say what it is for"
        if path in ("LICENSE",):
            continue
        lines = text.split("\n")[:-1] if text.endswith("\n") else text.split("\n")
        yield from check_text(path, text, lines)
        if path.endswith(CODE):
            yield from check_code(path, lines)


if __name__ == "__main__":
    project_files.report(check, project_files.read_all(project_files.root_argument()))
