#!/usr/bin/env bash
# Process <folder>/<speaker>/<clip>.mp4 into data/binary/<name>; goes on where it stopped, reports bad clips.
# usage: bash scripts/process_corpus.sh <name> <folder> [--force] [--hparams "speech_encoder=mel,..."]
set -euo pipefail
start_dir=$PWD
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
if [[ $# -lt 2 || $1 == -* || $2 == -* ]]; then usage_error; fi
[[ -z ${GENEFACE_ROOT:-} || $GENEFACE_ROOT == /* ]] || export GENEFACE_ROOT="$start_dir/$GENEFACE_ROOT"
name=$1
folder=$2
[[ $folder == /* ]] || folder=$start_dir/$folder
shift 2
config=egs/datasets/$name/process.yaml
[[ -f $config ]] || config=egs/datasets/lrs3/process.yaml
exec "$(python_bin)" data_gen/run.py --corpus "$name" --folder "$folder" --config "$config" "$@"
