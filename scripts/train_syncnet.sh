#!/usr/bin/env bash
# Train the lip-sync expert on a corpus.   usage: bash scripts/train_syncnet.sh [corpus] [extra tasks/run.py options]
# PRESET=full selects the published schedule (a GPU is advisable); the default is quick, minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
corpus=lrs3
if [[ $# -gt 0 && $1 != --* ]]; then corpus=$1; shift; fi
exec "$(python_bin)" tasks/run.py --config egs/datasets/lrs3/syncnet.yaml --exp_name "$corpus/syncnet" \
    --preset "${PRESET:-quick}" --hparams "corpus=$corpus" "$@"
