#!/usr/bin/env bash
# Train all that belongs to one person: postnet, head, torso.   usage: bash scripts/train_person.sh <video_id> [corpus]
# The corpus (default lrs3) names the generic models in checkpoints/<corpus>.      PRESET=quick|full|geneface
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
if [[ $# -lt 1 || $# -gt 2 || $1 == -* ]]; then usage_error; fi
bash scripts/train_postnet.sh "$1" "${2:-lrs3}"
bash scripts/train_nerf.sh "$1"
