#!/usr/bin/env bash
# Measure tracking, layers and cuts on the synthetic subject (exact truth) and on real clips (self-consistency).
# usage: bash scripts/bench_tracking.sh [--real <file.mp4> ...] [--name NAME] [--hparams "k=v,..."] [--help]
# Everything goes to $GENEFACE_ROOT/bench_tracking; work done is kept, so that another run measures changes only.
set -euo pipefail
start_dir=$PWD
cd "$(dirname "$0")/.."
root=${GENEFACE_ROOT:-$PWD}
[[ $root == /* ]] || root=$start_dir/$root
source scripts/lib.sh
python=$(python_bin)
code=$PWD
cd "$start_dir"
GENEFACE_ROOT=$root/infer_out/bench_tracking exec "$python" "$code/data_gen/tracking_bench/run.py" "$@"
