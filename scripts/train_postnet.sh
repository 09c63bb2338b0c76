#!/usr/bin/env bash
# Train a person's postnet.   usage: bash scripts/train_postnet.sh <video_id> [corpus] [extra tasks/run.py options]
# Without a corpus it stands on the generic models shipped with the code; with one, on those in checkpoints/<corpus>.
# PRESET=quick|full|geneface
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
if [[ $# -lt 1 || $1 == -* ]]; then usage_error; fi
video_id=$1
shift
overrides="corpus='',syncnet_work_dir=generic/syncnet,audio2motion_work_dir=generic/lm3d_vae"
if [[ $# -gt 0 && $1 != --* ]]; then
    overrides="corpus=$1,syncnet_work_dir=checkpoints/$1/syncnet,audio2motion_work_dir=checkpoints/$1/lm3d_vae"
    shift
fi
exec "$(python_bin)" tasks/run.py --config "egs/datasets/videos/$video_id/postnet.yaml" --exp_name "$video_id/postnet" \
    --preset "${PRESET:-quick}" --hparams "$overrides" "$@"
