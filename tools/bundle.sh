#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes build/gpu-bundle.tar.xz: all that tools/gpu_check.sh needs on a machine with a GPU, a CUDA
# toolkit and Python, but none of our packages and no network. Inside are the programs, the CUDA
# tests for a real device, a small data set, and every library that is neither glibc's nor CUDA's,
# Open MPI with its plugins among them. Unpack it anywhere; bin/mpirun starts ranks.
#
#   tools/bundle.sh [--build DIR] [--keep-folder]     --build: a build of the preset `device` (default:
#                                                     build/bundle, which is configured and built here)
set -euo pipefail
cd "$(dirname "$0")/.."

build=build/bundle
given=false
keep=false
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=$2; given=true; shift ;;
    --keep-folder) keep=true ;;
    *) sed -n '3,10s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
  shift
done
most_mib=60
folder=build/gpu-bundle
programs=(funnel-pretrain funnel-shard funnel-inspect funnel-bench)
tests=(conformance backend_test device_test ops_test fused_attention_test model_test device_training_test
       device_comm_test)

# Programs look for libraries beside themselves first; DT_RPATH, which libraries of libraries obey.
if ! $given; then
  cmake --preset device -B "$build" >/dev/null \
    -DCMAKE_EXE_LINKER_FLAGS="-Wl,--disable-new-dtags,-rpath,\\\$ORIGIN/../lib"
fi
cmake --build "$build" --target "${programs[@]}" "${tests[@]}"

rm -rf "$folder"
mkdir -p "$folder"/{bin,lib,mpi/bin,mpi/share,tools,tests/conformance}
for name in "${programs[@]}" "${tests[@]}"; do cp "$build/bin/$name" "$folder/bin/"; done
if grep -aq 'funnel host runtime' "$folder"/bin/*; then
  echo "bundle: a program is linked with the tests' host runtime; build the preset device" >&2
  exit 1
fi

# What the machine has: glibc, and what comes with CUDA and its driver.
is_the_machines() {
  case $1 in
    linux-vdso.so* | ld-linux* | libc.so* | libm.so* | libdl.so* | libpthread.so* | librt.so* | libresolv.so* | \
    libutil.so* | libcuda.so* | libcudart.so* | libcublasLt.so* | libnccl.so*) return 0 ;;
  esac
  return 1
}

copy_libraries_of() {
  local name path
  while read -r name path; do
    is_the_machines "$name" || [ -e "$folder/lib/$name" ] || cp -L "$path" "$folder/lib/$name"
  done < <(ldd "$@" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// {print $1, $3}' | sort -u)
}
copy_libraries_of "$folder"/bin/*

# Open MPI: the launcher and its daemon, and those plugins that need no further library (such as
# those of fast networks). It finds all by OPAL_PREFIX.
where() { ompi_info --path "$1" --parsable | cut -d: -f3; }
prefix=$(where prefix)
plugins=$(where pkglibdir)
mkdir -p "$folder/mpi/${plugins#"$prefix"/}"
copy_libraries_of "$prefix/bin/orterun" "$prefix/bin/orted" "$plugins"/mca_pmix_*.so
for plugin in "$plugins"/*.so; do
  whole=true
  while read -r name; do
    is_the_machines "$name" || [ -e "$folder/lib/$name" ] || whole=false
  done < <(ldd "$plugin" | awk '{print $1}' | xargs -n1 basename)
  if $whole; then cp "$plugin" "$folder/mpi/${plugins#"$prefix"/}/"; fi
done
cp -rL "$prefix/share/openmpi" "$folder/mpi/share/"
for program in orterun orted; do
  cp "$prefix/bin/$program" "$folder/mpi/bin/$program.real"
  cat > "$folder/mpi/bin/$program" <<'END'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
LD_LIBRARY_PATH=$here/../../lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec "$here/$(basename "$0").real" "$@"
END
  chmod +x "$folder/mpi/bin/$program"
done
cat > "$folder/bin/mpirun" <<'END'
#!/bin/sh
bundle=$(cd "$(dirname "$0")/.." && pwd)
. "$bundle/environment.sh"
exec "$bundle/mpi/bin/orterun" "$@"
END
chmod +x "$folder/bin/mpirun"
cat > "$folder/environment.sh" <<'END'
# For programs of the bundle; source it with $bundle, or from its own folder in bash.
bundle=${bundle:-$(cd "$(dirname "${BASH_SOURCE:-$0}")" && pwd)}
export PATH="$bundle/bin:${PATH:-/usr/bin:/bin}"
export OPAL_PREFIX="$bundle/mpi" PMIX_INSTALL_PREFIX="$bundle/mpi"
# One machine, perhaps root in a container: no remote shell, no network between ranks.
export OMPI_MCA_plm=isolated OMPI_MCA_btl=self,vader OMPI_MCA_pml=ob1 OMPI_MCA_btl_vader_single_copy_mechanism=none
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
END
strip "$folder"/bin/* "$folder"/lib/* "$folder"/mpi/bin/*.real 2>/dev/null || true

# The check itself, with fixtures, configurations and shards of our own pages.
cp -r tools/gpu_check.sh tools/gpu_check "$folder/tools/"
cp -r configs "$folder/configs"
cp -r tests/golden "$folder/tests/"
cp -r tests/conformance/recorded "$folder/tests/conformance/"
text=$folder/pages.txt
cat docs/*.md >"$text"
"$build/bin/funnel-shard" vocab --size 1000 --output "$folder/vocab.txt" "$text" >/dev/null
"$build/bin/funnel-shard" build --vocab "$folder/vocab.txt" --seq-len 64 --output "$folder/shards" "$text" >/dev/null
rm -rf "$text" "$folder/tools/gpu_check/__pycache__"

# Nothing may come from elsewhere.
complain=$(for file in "$folder"/bin/* "$folder"/mpi/bin/*.real; do
  LD_LIBRARY_PATH=$folder/lib ldd "$file" 2>/dev/null | while read -r name _ path _; do
    name=$(basename "$name")
    is_the_machines "$name" && continue
    case $path in *gpu-bundle/*) ;; *) echo "bundle: $(basename "$file") takes $name from $path" ;; esac
  done
done)
if [ -n "$complain" ]; then
  echo "$complain" >&2
  exit 1
fi
# Programs share their kernels: what counts is a window that holds two of them.
tar -C build -c gpu-bundle | xz -T1 --lzma2=preset=2,dict=64MiB >build/gpu-bundle.tar.xz
$keep || rm -rf "$folder"
bytes=$(stat -c %s build/gpu-bundle.tar.xz)
echo "build/gpu-bundle.tar.xz: $((bytes >> 20)) MiB"
if [ "$bytes" -ge $((most_mib << 20)) ]; then
  echo "bundle: expected less than $most_mib MiB" >&2
  exit 1
fi
