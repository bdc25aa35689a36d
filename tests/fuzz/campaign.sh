#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A long run of every fuzz target under AddressSanitizer and UndefinedBehaviorSanitizer:
#     tests/fuzz/campaign.sh [INPUTS [SEED]]
# INPUTS (default 300000) is for each target; five targets make more than a million. What kills a
# target is named such that it can be repeated. Takes tens of minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
inputs=${1:-300000}
seed=${2:-1}

cmake --preset asan -B build/fuzz >build/fuzz.log
cmake --build build/fuzz --target tests/fuzz/all >>build/fuzz.log
export LSAN_OPTIONS="suppressions=$PWD/tests/sanitizers/lsan.supp:print_suppressions=0"
export UBSAN_OPTIONS=print_stacktrace=1
targets=(build/fuzz/bin/*_fuzz)
printf '%s\n' "${targets[@]}" |
  xargs -P "$(nproc)" -I TARGET TARGET "$inputs" "$seed"
