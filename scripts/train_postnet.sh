#!/usr/bin/env bash
# Train a person's postnet.   usage: bash scripts/train_postnet.sh <video_id> [corpus] [extra tasks/run.py options]
# The corpus (default lrs3) names the generic models in checkpoints/<corpus>.      PRESET=quick|full|geneface
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
if [[ $# -lt 1 || $1 == -* ]]; then usage_error; fi
video_id=$1
shift
corpus=lrs3
if [[ $# -gt 0 && $1 != --* ]]; then corpus=$1; shift; fi
overrides="corpus=$corpus,syncnet_work_dir=checkpoints/$corpus/syncnet,audio2motion_work_dir=checkpoints/$corpus/lm3d_vae"
exec "$(python_bin)" tasks/run.py --config "egs/datasets/videos/$video_id/postnet.yaml" --exp_name "$video_id/postnet" \
    --preset "${PRESET:-quick}" --hparams "$overrides" "$@"
