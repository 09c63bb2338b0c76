#!/usr/bin/env bash
# Train audio2motion (VAE with flow prior) on a corpus whose SyncNet is trained.
# usage: bash scripts/train_audio2motion.sh [corpus] [extra tasks/run.py options]      PRESET=quick|full|geneface
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
corpus=lrs3
if [[ $# -gt 0 && $1 != --* ]]; then corpus=$1; shift; fi
exec "$(python_bin)" tasks/run.py --config egs/datasets/lrs3/lm3d_vae.yaml --exp_name "$corpus/lm3d_vae" \
    --preset "${PRESET:-quick}" --hparams "corpus=$corpus,syncnet_work_dir=checkpoints/$corpus/syncnet" "$@"
