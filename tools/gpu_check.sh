#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks and measures everything on this machine's GPU in 20 minutes at most, stage by stage, and
# writes docs/benchmarks/<device>.md after each. Runs from an unpacked bundle (tools/bundle.sh) or
# from a source tree built with the preset `device`. Needs a CUDA driver and toolkit, and Python 3;
# no network. Without a device it says so and exits with 77.
#
#   tools/gpu_check.sh [--programs DIR] [--out FILE.md] [--work DIR] [--data DIR] [--stages A,B]
#                      [--minutes N] [--sizes full|tiny] [--host-runtime]
#
# Stages: environment, correctness, sanitizers, repetition, attention, products, memory, step,
# counters, transformers, training; docs/15-on-a-gpu.md says what each does.
#
# Exit codes: 0 all stages passed · 1 some failed, see the page · 2 wrong usage · 77 no device.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

programs=$root/bin
[ -d "$programs" ] || programs=$root/build/device/bin
on_host_runtime=false
arguments=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    --programs) programs=${2:-}; shift ;;
    --host-runtime) on_host_runtime=true ;;
    --help) sed -n '3,15s/^# \{0,1\}//p' "$0"; exit 0 ;;
  esac
  shift
done
bench=$programs/funnel-bench
if [ ! -x "$bench" ]; then
  echo "gpu_check: found no funnel-bench in $programs: build with the preset device, or name --programs" >&2
  exit 2
fi

# A bundle brings libraries and Open MPI; elsewhere the system's are taken.
# shellcheck source=/dev/null
[ -f "$root/environment.sh" ] && . "$root/environment.sh"

has_driver() {
  [ -e /dev/nvidiactl ] || command -v nvidia-smi >/dev/null || ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1'
}

# The toolkit's libraries are not in the bundle. Where the loader does not know them, they lie in
# the toolkit's own folder or in Python's packages.
add_folder_of() {
  local library=$1 folder
  ldconfig -p 2>/dev/null | grep -q "$library" && return
  for folder in "${CUDA_HOME:-/usr/local/cuda}"/lib64 /usr/local/cuda*/lib64 /usr/local/cuda*/lib /usr/local/nvidia/lib64 \
                $(python3 -c 'import sys; print(*(p + "/nvidia/*/lib" for p in sys.path if p))' 2>/dev/null); do
    if [ -e "$folder/$library" ]; then
      export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"
      return
    fi
  done
}

# PyTorch has libraries of its own, which ours must not get in the way of.
export FUNNEL_PLAIN_LIBRARY_PATH=${LD_LIBRARY_PATH:-}
if ! $on_host_runtime; then
  if ! has_driver; then
    echo "gpu_check: this machine has no NVIDIA driver; there is no GPU to check"
    exit 77
  fi
  for library in libcudart.so.13 libcublasLt.so.13 libnccl.so.2; do add_folder_of "$library"; done
fi

# What does not start here, or finds no device, ends it.
said=$("$bench" device --device cuda --edge 16 --copy-mib 1 --repeats 1 2>&1)
case $? in
  0) ;;
  2) echo "gpu_check: $said"; exit 77 ;;
  *) echo "gpu_check: $bench does not run here:" >&2; echo "$said" >&2; exit 2 ;;
esac
if $on_host_runtime && ! grep -q 'host runtime' <<<"$said"; then
  echo "gpu_check: --host-runtime, but $bench runs on a device" >&2
  exit 2
fi
if ! command -v python3 >/dev/null; then
  echo "gpu_check: found no python3, which runs the stages and writes the page" >&2
  exit 2
fi
exec python3 -B "$root/tools/gpu_check/check.py" --programs "$programs" "${arguments[@]}"
