#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A long run of every fuzz target under AddressSanitizer and UndefinedBehaviorSanitizer:
#     tests/fuzz/campaign.sh [INPUTS [SEED]]
# INPUTS (default 300000) is for each target; five targets make more than a million. Where there is
# a clang++ with libFuzzer, coverage guides the inputs; elsewhere they are the random mutations that
# the tests run. What kills a target is kept, or named such that it can be repeated, and the exit
# code is not 0. The last lines say how many inputs each target had. Takes tens of minutes on two
# cores. What is found lies in build/fuzz-corpus and is where the next campaign begins.
set -euo pipefail
cd "$(dirname "$0")/../.."
inputs=${1:-300000}
seed=${2:-1}
export LSAN_OPTIONS="suppressions=$PWD/tests/sanitizers/lsan.supp:print_suppressions=0"
export UBSAN_OPTIONS=print_stacktrace=1

has_libfuzzer() {
  command -v clang++ >/dev/null &&
    echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }' |
    clang++ -x c++ -fsanitize=fuzzer,address - -o build/has-libfuzzer 2>/dev/null
}

# Builds the targets in a folder, with more options for CMake.
build() {
  local folder=$1
  shift
  cmake --preset asan -B "$folder" "$@" >"$folder.log"
  cmake --build "$folder" --target tests/fuzz/all >>"$folder.log"
}

# One target with libFuzzer. What it says goes to a log, of which the end is shown.
run_guided() {
  local name status=0
  name=$(basename "$1")
  local corpus=build/fuzz-corpus/$name
  mkdir -p "$corpus"
  "$1" -runs="$inputs" -seed="$seed" -max_len=16384 -timeout=60 -rss_limit_mb=4096 \
    -print_final_stats=1 -artifact_prefix="$corpus-" "$corpus" >"$corpus.log" 2>&1 || status=$?
  if [ "$status" -ne 0 ]; then
    tail -n 60 "$corpus.log"
  else
    printf '%s: %s inputs, %s\n' "$name" \
      "$(awk '/number_of_executed_units/ { print $2 }' "$corpus.log")" \
      "$(awk '/DONE/ { print "coverage " $4 ", features " $6 }' "$corpus.log")"
  fi
  return "$status"
}

mkdir -p build
if has_libfuzzer; then
  build build/libfuzzer -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DFUNNEL_LIBFUZZER=ON
  export -f run_guided
  export inputs seed
  printf '%s\n' build/libfuzzer/bin/*_fuzz |
    xargs -P "$(nproc)" -I TARGET bash -c 'run_guided TARGET'
else
  build build/fuzz
  printf '%s\n' build/fuzz/bin/*_fuzz | xargs -P "$(nproc)" -I TARGET TARGET "$inputs" "$seed"
fi
