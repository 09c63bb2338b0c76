#!/usr/bin/env bash
# Train all that belongs to one person: postnet, head, torso.   usage: bash scripts/train_person.sh <video_id> [corpus]
# Without a corpus it stands on the generic models shipped with the code; with one, on those in checkpoints/<corpus>.
# PRESET=quick|full|geneface
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
if [[ $# -lt 1 || $# -gt 2 || $1 == -* ]]; then usage_error; fi
bash scripts/train_postnet.sh "$@"
bash scripts/train_nerf.sh "$1"
