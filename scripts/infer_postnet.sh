#!/usr/bin/env bash
# Predict a person's landmarks for a sound.   usage: bash scripts/infer_postnet.sh [video_id] [wav_id] [extra inference/run.py options]
# Reads data/raw/val_wavs/<wav_id>.wav, writes infer_out/<video_id>/pred_lm3d/<wav_id>.npy. Defaults: May, zozo.
# A released GeneFace unzipped under checkpoints, and its dataset in data/binary/videos/<video_id>, are imported first.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
video_id=May
wav_id=zozo
if [[ $# -gt 0 && $1 != --* ]]; then video_id=$1; shift; fi
if [[ $# -gt 0 && $1 != --* ]]; then wav_id=$1; shift; fi
import_original "$video_id"
exec "$(python_bin)" inference/run.py --mode landmarks --video_id "$video_id" --wav_id "$wav_id" "$@"
