#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, and runs every test: the whole suite optimised, the rooms that
# compute again under AddressSanitizer and UndefinedBehaviorSanitizer, and the op bodies on thread
# teams under ThreadSanitizer. Where there is an nvcc the suite is built with the CUDA backend, whose
# kernels need no GPU here: the tests interpret them. The last line is "N passed, N failed"; a build
# that breaks counts as one failure. The exit code is 0 only when something ran and nothing failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

# nproc would otherwise answer with OMP_NUM_THREADS.
cores=$(env -u OMP_NUM_THREADS nproc)
passed=0
failed=0

# Builds and runs one suite: its preset, then the folders of tests/ it covers (none: everything).
suite() {
  local preset=$1 rooms=(.) targets=(all) room
  shift
  if [ $# -gt 0 ]; then
    rooms=("${@/#/tests/}")
    targets=("${rooms[@]/%//all}")
  fi

  echo "=== $preset: ${*:-every test}"
  if ! cmake --preset "$preset" -B "build/test-$preset" >"build/test-$preset.log" 2>&1; then
    tail -n 40 "build/test-$preset.log"
    echo "=== $preset: configuring failed"
    failed=$((failed + 1))
    return
  fi
  if ! cmake --build "build/test-$preset" --target "${targets[@]}" >"build/test-$preset.log" 2>&1; then
    grep -E -A 15 'FAILED|error:' "build/test-$preset.log" | head -n 80
    echo "=== $preset: building failed"
    failed=$((failed + 1))
    return
  fi
  for room in "${rooms[@]}"; do run_folder "$preset" "build/test-$preset/$room"; done
}

# Runs the tests registered in one build folder and adds their counts.
run_folder() {
  local preset=$1 folder=$2 report="$PWD/build/test-$1.xml" all ran
  local run=(ctest --test-dir "$folder" -j "$cores" --output-on-failure
             --output-junit "$report" --no-tests=error)
  # Of the programs themselves the sanitizers see enough elsewhere.
  if [ "$preset" = asan ]; then run+=(--label-exclude parity); fi
  # ThreadSanitizer of GCC 12 cannot start where the kernel spreads addresses widely.
  if [ "$preset" = tsan ] && setarch -R true 2>/dev/null; then run=(setarch -R "${run[@]}"); fi
  rm -f "$report"
  "${run[@]}" 2>&1 | grep -vE '^ *Start +[0-9]+: |  Passed +[0-9.]+ sec$' | tail -n 200
  if [ ! -e "$report" ]; then
    echo "=== $preset: no test ran in $folder"
    failed=$((failed + 1))
    return
  fi
  # A test that did not run has not passed.
  all=$(grep -c '<testcase ' "$report" || true)
  ran=$(grep -c '<testcase .*status="run"' "$report" || true)
  passed=$((passed + ran))
  failed=$((failed + all - ran))
}

# For tests only: they start ranks as root and more ranks than there are cores.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
# One thread a rank, so that tests side by side do not fight over the cores.
export OMP_NUM_THREADS=1
export LSAN_OPTIONS="suppressions=$PWD/tests/sanitizers/lsan.supp"
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1

# nvcc, where CMake would look for it too.
has_nvcc() {
  command -v "${CUDACXX:-nvcc}" >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]
}

mkdir -p build
if tools/install_deps.sh && tools/test_python.sh; then
  if has_nvcc; then
    suite cuda
  else
    echo "=== no nvcc on this machine: the CUDA backend is neither built nor tested"
    suite cpu
  fi
  suite asan base backend ops layers model optim data fuzz
  suite tsan ops
else
  failed=1
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
