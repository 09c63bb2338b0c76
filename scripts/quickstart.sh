#!/usr/bin/env bash
# From a video of a person and a voice to a talking video, on two CPU cores.
#
#   bash scripts/quickstart.sh [video.mp4] [speech.wav]
#
# Without arguments the person is the embedded synthetic subject and the voice is made by espeak-ng. Postnet, head and torso are
# trained on the way, from the generic models shipped with the code. Interrupted? Start it again: it goes on where it stopped.
# PRESET=full takes the long schedules instead (a GPU is advisable).
# OWN_CORPUS=1 also makes a corpus of synthetic speakers and trains lip-sync expert and audio2motion on it (5 minutes more).
set -euo pipefail
start_dir=$PWD
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
absolute() { case "$1" in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$start_dir" "$1" ;; esac; }
die() { echo "error: $*" >&2; exit 2; }

video=${1:+$(absolute "$1")}
speech=${2:+$(absolute "$2")}
[[ $# -le 2 ]] || die "expected at most a video and a speech file, found $# arguments; see --help"
[[ -z $video || -f $video ]] || die "no file $video; name a video of one person, or nothing for the demo subject"
[[ -z $speech || -f $speech ]] || die "no file $speech; name a wav, mp3 or mp4 with speech, or nothing for the demo voice"

ensure_environment
python=$(python_bin)
data=${GENEFACE_ROOT:-.}/data
corpus=demo_corpus
id=demo
if [[ -n $video ]]; then
    id=$(basename "${video%.*}" | tr -c 'A-Za-z0-9_.\n-' '_' | sed 's/^[^A-Za-z0-9]*//')
    [[ -n $id ]] || id=person
fi
speech=${speech:-$data/raw/val_wavs/demo.wav}

# title | minutes it takes on two cores; the sum of those to come is the remaining time shown
titles=("demo subject and voice" "video: landmarks, pose, masks, layers" "postnet" "head and torso" "talking video")
minutes=(0.4 0.6 0.8 7 0.4)
own_corpus=${OWN_CORPUS:-}
if [[ -n $own_corpus ]]; then
    titles=("${titles[0]}" "corpus: clips, landmarks and speech features" "lip-sync expert (SyncNet)" "audio2motion (VAE)" "${titles[@]:1}")
    minutes=("${minutes[0]}" 1.1 1 2 "${minutes[@]:1}")
fi
current=0
began=$SECONDS
step() {
    local left
    left=$(awk -v from="$current" 'BEGIN {for (i = from + 1; i < ARGC; i++) sum += ARGV[i]; printf "%.0f", sum + 0.5}' "${minutes[@]}")
    echo
    echo "== [$((current + 1))/${#titles[@]}] ${titles[$current]}   (elapsed $(((SECONDS - began) / 60)) min, about $left min left)"
    current=$((current + 1))
}

step
if [[ $id == demo && ! -f $data/raw/videos/demo.mp4 ]]; then
    "$python" data_gen/synthetic/run.py --out "$data/raw/videos/demo.mp4" --seconds 24 --size 256 --identity 0 --voice en-us --seed 0
fi
if [[ ! -f $speech ]]; then
    "$python" data_gen/synthetic/run.py --speech_only "$speech" --voice de --seed 3 \
        --text "Guten Tag. Ich habe diese Stimme vorher nie gehört, und doch bewege ich die Lippen dazu. Eine ruhige Pause. Und weiter geht es, Punkt für Punkt."
fi
if [[ -n $own_corpus ]]; then
    step
    if [[ ! -f $data/raw/corpora/$corpus/.complete ]]; then
        "$python" data_gen/synthetic/run.py --corpus "$data/raw/corpora/$corpus" --speakers 4 --clips_per_speaker 12 \
            --seconds_per_clip 4 --size 192 --seed 1
        touch "$data/raw/corpora/$corpus/.complete"
    fi
    bash scripts/process_corpus.sh "$corpus" "$data/raw/corpora/$corpus"
    step && bash scripts/train_syncnet.sh "$corpus"
    step && bash scripts/train_audio2motion.sh "$corpus"
fi
step
if [[ -n $video && ! -f $data/raw/videos/$id.mp4 ]]; then
    bash scripts/new_video.sh "$video" "$id"
fi
bash scripts/process_video.sh "$id"
step && bash scripts/train_postnet.sh "$id" ${own_corpus:+"$corpus"}
step && bash scripts/train_nerf.sh "$id"
step
name=$(basename "${speech%.*}")
out=${GENEFACE_ROOT:-.}/infer_out/$id/pred_video/$name.mp4
bash scripts/talk.sh "$id" "$speech" "$out"
echo
echo "done in $(((SECONDS - began) / 60)) min: $out"
