#!/usr/bin/env bash
# Process data/raw/videos/<video_id>.mp4 into data/binary/videos/<video_id>; goes on where it stopped.
# Ends with a report to look at: data/processed/videos/<video_id>/report.html
# usage: bash scripts/process_video.sh <video_id> [--stage NAME] [--force] [--fix_sync] [--hparams "image_size=256,..."]
set -euo pipefail
start_dir=$PWD
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
if [[ $# -lt 1 || $1 == -* ]]; then usage_error; fi
[[ -z ${GENEFACE_ROOT:-} || $GENEFACE_ROOT == /* ]] || export GENEFACE_ROOT="$start_dir/$GENEFACE_ROOT"
video_id=$1
shift
config=egs/datasets/videos/$video_id/process.yaml
if [[ ! -f $config ]]; then
    echo "error: no $config; make it first: bash scripts/new_video.sh <file.mp4> $video_id" >&2
    exit 2
fi
exec "$(python_bin)" data_gen/run.py --config "$config" "$@"
