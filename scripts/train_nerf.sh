#!/usr/bin/env bash
# Train a person's renderer: head, torso, and what enlarges heads in the fast tier.
# usage: bash scripts/train_nerf.sh <video_id> [extra tasks/run.py options]
# PRESET=quick|full|geneface
# PROCESSES=<n>: so many processes share every step, each with rays of its own. Default: 2 on a CPU (quick preset), where two
# processes of half the threads do half as much again as one; else 1. With GPUs one for each is right.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
if [[ $# -lt 1 || $1 == -* ]]; then usage_error; fi
video_id=$1
shift
processes=$(training_processes)
for task in lm3d_nerf lm3d_nerf_torso lm3d_nerf_sr; do
    "$(python_bin)" tasks/run.py --config "egs/datasets/videos/$video_id/$task.yaml" --exp_name "$video_id/$task" \
        --preset "${PRESET:-quick}" --processes "$processes" "$@"
done
