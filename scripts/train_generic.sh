#!/usr/bin/env bash
# Train the generic models that come with the code (modules/generic) anew: SyncNet and audio2motion.
# usage: bash scripts/train_generic.sh <folder of a corpus: <speaker>/<clip>.mp4> [name of the corpus]
# The corpus is processed, altered copies of its sound are made, espeak-ng voices on the open head are added, both networks
# are trained, and their weights are written to checkpoints/generic_models in half precision. Data, licence and figures of
# the shipped ones: docs/generic_models.md.      PRESET=quick|full
set -euo pipefail
start_dir=$PWD
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
if [[ $# -lt 1 || $# -gt 2 || $1 == -* ]]; then usage_error; fi
folder=$1
[[ $folder == /* ]] || folder=$start_dir/$folder
name=${2:-grid}
python=$(python_bin)
root=${GENEFACE_ROOT:-.}
corpora="$name+${name}_augmented+voices"
preset=${PRESET:-quick}

bash scripts/process_corpus.sh "$name" "$folder" --hparams augment_copies=1
if [[ ! -f $root/data/binary/voices/manifest.json ]]; then
    "$python" data_gen/synthetic/run.py --motion_corpus voices --speakers 48 --clips_per_speaker 8 --seconds_per_clip 5 --seed 5
fi
"$python" tasks/run.py --config egs/datasets/generic/syncnet.yaml --exp_name generic_train/syncnet --preset "$preset" \
    --hparams "corpus=$corpora"
"$python" tasks/run.py --config egs/datasets/generic/lm3d_vae.yaml --exp_name generic_train/lm3d_vae --preset "$preset" \
    --hparams "corpus=$corpora"
for task in syncnet lm3d_vae; do
    "$python" scripts/publish_model.py "$root/checkpoints/generic_train/$task" "$root/checkpoints/generic_models/$task"
done
