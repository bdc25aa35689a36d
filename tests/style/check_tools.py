# SPDX-License-Identifier: Apache-2.0
"""Runs a checking program over the files it is for: clang-format over C++, shellcheck over shell.

    check_tools.py format|shell PROJECT_FOLDER
"""

import pathlib
import shutil
import subprocess
import sys

import project_files

# The version is named, because versions of clang-format disagree about the same style.
CHECKS = {
    "format": (["clang-format-14", "--dry-run", "-Werror"], (".h", ".cc", ".cu", ".cuh")),
    "shell": (["shellcheck"], (".sh", ".sbatch", ".ci/run")),
}


def main():
    command, suffixes = CHECKS[sys.argv[1]]
    root = pathlib.Path(sys.argv[2])
    paths = [path for path in project_files.tracked_paths(root) if path.endswith(suffixes)]
    if not paths:
        sys.exit(f"found no file to check in {root}")
    if shutil.which(command[0]) is None:
        sys.exit(f"{command[0]} is not installed; tools/install_deps.sh installs it")
    result = subprocess.run(command + paths, cwd=root, check=False)
    print(f"{len(paths)} files read")
    sys.exit(result.returncode)


if __name__ == "__main__":
    main()
