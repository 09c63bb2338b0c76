#!/usr/bin/env bash
# Train a person's renderer: head, torso, and what enlarges heads in the fast tier.
# usage: bash scripts/train_nerf.sh <video_id> [extra tasks/run.py options]
# PRESET=quick|full|geneface
# PROCESSES=<n>: split every step over so many processes (torchrun): one for each GPU, or 2 on two CPU cores
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
if [[ $# -lt 1 || $1 == -* ]]; then usage_error; fi
video_id=$1
shift
processes=${PROCESSES:-1}
if [[ ! $processes =~ ^[1-9][0-9]*$ ]]; then geneface_error "PROCESSES is a number of 1 or more, found '$processes'"; fi
launch=("$(python_bin)")
if ((processes > 1)); then
    threads=$(($(nproc) / processes))
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((threads > 0 ? threads : 1))}
    launch+=(-m torch.distributed.run --standalone --nproc_per_node "$processes")
fi
for task in lm3d_nerf lm3d_nerf_torso lm3d_nerf_sr; do
    "${launch[@]}" tasks/run.py --config "egs/datasets/videos/$video_id/$task.yaml" --exp_name "$video_id/$task" \
        --preset "${PRESET:-quick}" "$@"
done
