#!/usr/bin/env bash
# Make a trained person say something.   usage: bash scripts/talk.sh <video_id> <file.wav|mp3|mp4> [out.mp4] [extra inference/run.py options]
# Without out.mp4: infer_out/<video_id>/pred_video/<name of the file>.mp4. Nothing is written beside the input.
set -euo pipefail
start_dir=$PWD
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
if [[ $# -lt 2 || $1 == -* || $2 == -* ]]; then usage_error; fi
absolute() { case "$1" in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$start_dir" "$1" ;; esac; }
options=(--mode talk --video_id "$1" --audio "$(absolute "$2")")
shift 2
if [[ $# -gt 0 && $1 != --* ]]; then options+=(--out "$(absolute "$1")"); shift; fi
exec "$(python_bin)" inference/run.py "${options[@]}" "$@"
