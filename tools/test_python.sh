#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs Python with the PyPI packages that tests compare with (tests/requirements.txt), in a virtual
# environment under build/. Installs them first where they are missing or others are asked for;
# without arguments it does only that.
#
#     tools/test_python.sh [SCRIPT [ARGUMENT...]]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
environment="$root/build/python"
wanted="$root/tests/requirements.txt"

is_complete() { cmp -s "$wanted" "$environment/installed.txt"; }

if ! is_complete; then
  mkdir -p "$root/build"
  # Tests that run side by side wait for the one that installs.
  exec 9>"$root/build/python.lock"
  flock 9
  if ! is_complete; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" --quiet --disable-pip-version-check install -r "$wanted"
    cp "$wanted" "$environment/installed.txt"
  fi
  exec 9>&-
fi
[ $# -eq 0 ] || exec "$environment/bin/python" -B "$@"
