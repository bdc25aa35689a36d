#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian 12 packages that building, testing and the quick start need, and only those
# that are missing. Where nothing is missing it says nothing and needs neither network nor root.
set -euo pipefail

# Programs are asked for by command, because another copy than Debian's is as good.
declare -A package_of_command=(
  [g++]=g++ [cmake]=cmake [ninja]=ninja-build [pkg-config]=pkg-config [ccache]=ccache
  [python3]=python3 [git]=git [protoc]=protobuf-compiler [mpirun]=openmpi-bin
  [zstd]=zstd [clang-format-14]=clang-format-14 [shellcheck]=shellcheck
)
# Libraries are asked for by package.
libraries=(
  libopenmpi-dev libhdf5-dev libprotobuf-dev libspdlog-dev libdnnl-dev libcli11-dev
  nlohmann-json3-dev libsimdjson-dev libutf8proc-dev librandom123-dev libssl-dev libgtest-dev
  zlib1g-dev libzstd-dev python3-venv
)

missing=()
for command in "${!package_of_command[@]}"; do
  command -v "$command" >/dev/null || missing+=("${package_of_command[$command]}")
done
for library in "${libraries[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$library" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$library")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install_deps.sh: needs root or sudo to install: ${missing[*]}" >&2
    exit 2
  fi
  as_root=(sudo)
fi
echo "installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
