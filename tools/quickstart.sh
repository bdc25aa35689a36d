#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh clone to a pretrained small Funnel-Transformer: installs what is missing, builds,
# makes shards from real text, pretrains with ELECTRA's objective on two ranks for about three
# minutes and shows what was learned. Everything it makes lies under build/ and quickstart/.
# What is already done is not done again; stopped while training, it resumes.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=build/quickstart/bin
text=quickstart/text
vocabulary=quickstart/vocab.txt
data=quickstart/data
run=quickstart/run

say() { printf '\n== %s\n' "$*"; }

say "1/5 packages"
tools/install_deps.sh

say "2/5 build"
cmake --preset cpu -B build/quickstart -DFUNNEL_TESTS=OFF >/dev/null
cmake --build build/quickstart

say "3/5 text: the debian-prose collection"
tools/corpus/fetch_text.sh debian-prose "$text"
cut -f 2,4,5 "$text/MANIFEST.tsv"

launch=(mpirun -np 2)
# Open MPI wants to be told about root, as in a container, and about one-core machines.
if [ "$(id -u)" -eq 0 ]; then launch+=(--allow-run-as-root); fi
if [ "$(env -u OMP_NUM_THREADS nproc)" -lt 2 ]; then launch+=(--oversubscribe); fi

say "4/5 vocabulary and shards"
if [ ! -e "$vocabulary" ]; then
  "$bin/funnel-shard" vocab --size 8192 --output "$vocabulary" "$text"
fi
if [ ! -e "$data/index.textproto" ]; then
  "${launch[@]}" "$bin/funnel-shard" build --vocab "$vocabulary" --seq-len 128 --held-out 0.01 \
    --source debian-prose --output "$data" "$text"
fi
"$bin/funnel-shard" info "$data"

say "5/5 pretraining on two ranks"
"${launch[@]}" "$bin/funnel-pretrain" \
  --config configs/quickstart.textproto --data "$data" --run "$run"

"$bin/funnel-inspect" run "$run"
