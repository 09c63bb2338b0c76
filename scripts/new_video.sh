#!/usr/bin/env bash
# Take a person's video in: copies it to data/raw/videos/<video_id>.mp4 (and <file>.cuts.json, if there is one) and makes
# egs/datasets/videos/<video_id> from the template. Nothing is overwritten.
# usage: bash scripts/new_video.sh <file.mp4> <video_id>
set -euo pipefail
start_dir=$PWD
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
if [[ $# -ne 2 || $1 == -* ]]; then usage_error; fi
die() {
    echo "error: $*" >&2
    exit 2
}
file=$1
video_id=$2
[[ $file == /* ]] || file=$start_dir/$file
root=${GENEFACE_ROOT:-.}
[[ $root == /* || $root == . ]] || root=$start_dir/$root
[[ $video_id =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$ ]] ||
    die "video_id '$video_id' must be letters, digits, '_', '-' or '.', and begin with a letter or digit"
[[ $video_id != _template ]] || die "video_id '_template' is taken; choose another"
[[ -f $file ]] || die "no video at $1; check the name"
raw=$root/data/raw/videos/$video_id.mp4
config=egs/datasets/videos/$video_id
[[ ! -e $raw ]] || die "$raw exists already; choose another video_id, or delete it first"
[[ ! -e $config ]] || die "$config exists already; choose another video_id, or delete it first"

mkdir -p "$(dirname "$raw")"
trap 'rm -rf "$raw.part" "$config.part"' EXIT
cp -- "$file" "$raw.part"
mkdir "$config.part"
for template in egs/datasets/videos/_template/*.yaml; do
    sed "s/VIDEO_ID/$video_id/g" "$template" >"$config.part/$(basename "$template")"
done
cuts=${file%.*}.cuts.json
if [[ -f $cuts ]]; then
    cp -- "$cuts" "${raw%.mp4}.cuts.json"
fi
mv -- "$raw.part" "$raw"
mv -- "$config.part" "$config"
echo "video: $raw"
echo "settings: $config (image_size and more in process.yaml)"
echo "next: bash scripts/process_video.sh $video_id"
