#!/usr/bin/env bash
# Predict a person's landmarks for a sound.   usage: bash scripts/infer_postnet.sh [video_id] [wav_id] [extra inference/run.py options]
# Reads data/raw/val_wavs/<wav_id>.wav, writes infer_out/<video_id>/pred_lm3d/<wav_id>.npy. Both default to demo.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
video_id=demo
wav_id=demo
if [[ $# -gt 0 && $1 != --* ]]; then video_id=$1; shift; fi
if [[ $# -gt 0 && $1 != --* ]]; then wav_id=$1; shift; fi
exec "$(python_bin)" inference/run.py --mode landmarks --video_id "$video_id" --wav_id "$wav_id" "$@"
