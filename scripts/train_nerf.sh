#!/usr/bin/env bash
# Train a person's renderer: head, torso, and what enlarges heads in the fast tier.
# usage: bash scripts/train_nerf.sh <video_id> [extra tasks/run.py options]
# PRESET=quick|full|geneface
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
if [[ $# -lt 1 || $1 == -* ]]; then usage_error; fi
video_id=$1
shift
for task in lm3d_nerf lm3d_nerf_torso lm3d_nerf_sr; do
    "$(python_bin)" tasks/run.py --config "egs/datasets/videos/$video_id/$task.yaml" --exp_name "$video_id/$task" \
        --preset "${PRESET:-quick}" "$@"
done
