# SPDX-License-Identifier: Apache-2.0
"""The project's own text files, as a mapping from path to content, and how checks report."""

import os
import pathlib
import subprocess
import sys

SKIPPED_FOLDERS = {"build", "quickstart", "__pycache__"}
BINARY_SUFFIXES = {".h5", ".hdf5", ".png", ".gz", ".npz"}


def tracked_paths(root):
    """What git tracks or would add; without a repository, every file outside build folders."""
    git = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(git, capture_output=True, text=True, check=True).stdout
        return sorted(path for path in listing.splitlines() if (root / path).is_file())
    except (OSError, subprocess.CalledProcessError):
        pass
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in SKIPPED_FOLDERS and not f.startswith((".", "build-"))]
        found += [str(pathlib.Path(folder, name).relative_to(root)) for name in names]
    return sorted(found)


def read_all(root):
    paths = [path for path in tracked_paths(root) if pathlib.Path(path).suffix not in BINARY_SUFFIXES]
    return {path: (root / path).read_text(encoding="utf-8") for path in paths}


def report(check, files):
    """Prints what `check(files)` yields and ends the process: 0 when it yields nothing."""
    problems = list(check(files))
    for problem in problems:
        print(problem)
    print(f"{len(files)} files read, {len(problems)} problems")
    sys.exit(1 if problems or not files else 0)


def root_argument():
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} PROJECT_FOLDER")
    return pathlib.Path(sys.argv[1])
