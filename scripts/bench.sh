#!/usr/bin/env bash
# Measure a trained person: ms a frame by stage, backend, tier and size, landmarks and a whole video from sound, rays/s in
# training, memory, and the ratio to the original's network. Writes infer_out/<video_id>/bench/{table.md,bench.json}.
# usage: bash scripts/bench.sh <video_id> [--sizes 256,512] [--seconds 10] [--frames 7] \
#        [--parts draw,landmarks,video,training,vanilla] [--audio FILE]
# PROCESSES=<n>: processes that share a training step; default as in scripts/train_nerf.sh
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
if [[ $# -lt 1 || $1 == -* ]]; then usage_error; fi
processes=$(training_processes)
exec "$(python_bin)" scripts/bench.py --processes "$processes" "$@"
