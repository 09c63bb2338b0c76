# Functions the scripts share; source it from the repository root. GENEFACE_PYTHON names an existing interpreter to use
# instead of .venv; GENEFACE_TORCH_INDEX an extra index for torch, such as the
# one with builds without CUDA, which saves gigabytes where there is no GPU.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive} TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-3} GLOG_minloglevel=${GLOG_minloglevel:-2}

geneface_error() {
    echo "error: $*" >&2
    return 2
}

# Print the comment that the calling script opens with.
script_help() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "scripts/$(basename "$0")"; }

# usage: help_if_asked "$@"
help_if_asked() {
    case "${1:-}" in -h | --help) script_help; exit 0 ;; esac
}

usage_error() {
    script_help >&2
    exit 2
}

# Print the interpreter to run the project with; make the environment first if there is none.
python_bin() {
    if [[ -n ${GENEFACE_PYTHON:-} ]]; then
        echo "$GENEFACE_PYTHON"
    elif [[ -x .venv/bin/python && -n $(compgen -G '.venv/.installed-*') ]] || ensure_environment >&2; then
        echo "$PWD/.venv/bin/python"
    else
        echo false # the message stands on stderr; the command that asked ends at once
    fi
}

# Print a Python that the pinned packages have wheels for.
_base_python() {
    local candidate
    for candidate in python3.11 python3.12 python3; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    geneface_error "Python 3.11 or 3.12 is needed, found $(python3 --version 2>&1 || true); install it, or name one in GENEFACE_PYTHON"
}

# Install Debian packages as root; otherwise say which are missing.
_need_packages() {
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        echo "== installing $*"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null && return
    fi
    geneface_error "system packages are missing; install them: sudo apt-get install $*"
}

# opencv needs libGL and glib.
_ensure_system_libraries() {
    "$1" -c 'import ctypes; [ctypes.CDLL(name) for name in ("libGL.so.1", "libglib-2.0.so.0", "libgthread-2.0.so.0")]' 2>/dev/null ||
        _need_packages libgl1 libglib2.0-0
}

# usage: ensure_environment [requirements file ...]
# Leaves .venv with requirements.txt and the files named, installed by one pip command; does nothing if it is so already.
ensure_environment() {
    local files=(requirements.txt "$@") python stamp arguments=() file
    if [[ -n ${GENEFACE_PYTHON:-} ]]; then
        "$GENEFACE_PYTHON" -c 'import torch, mediapipe' 2>/dev/null ||
            geneface_error "GENEFACE_PYTHON=$GENEFACE_PYTHON cannot import torch and mediapipe; install requirements.txt there, or unset it"
        return
    fi
    stamp=.venv/.installed-$(cat "${files[@]}" | sha256sum | cut -c1-16)
    [[ -x .venv/bin/python && -e $stamp ]] && return
    python=$(_base_python) || return
    _ensure_system_libraries "$python" || return
    if [[ ! -x .venv/bin/python ]]; then
        "$python" -c 'import ensurepip, venv' 2>/dev/null || _need_packages python3-venv || return
        echo "== making .venv with $("$python" --version)"
        "$python" -m venv .venv || return
    fi
    echo "== installing ${files[*]} (about 3 GB; once)"
    for file in "${files[@]}"; do arguments+=(-r "$file"); done
    [[ -z ${GENEFACE_TORCH_INDEX:-} ]] || arguments+=(--extra-index-url "$GENEFACE_TORCH_INDEX")
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "${arguments[@]}" ||
        geneface_error "pip could not install ${files[*]}; see its message above" || return
    rm -f .venv/.installed-*
    [[ ${#files[@]} == 1 ]] || touch ".venv/.installed-$(sha256sum <requirements.txt | cut -c1-16)"
    touch "$stamp"
}

# Print how many processes are to share a training step: PROCESSES, or 2 where there are cores for them and no GPU. Presets
# with a published number of steps keep their steps as they are: each process adds rays to it.
training_processes() {
    local processes=${PROCESSES:-}
    if [[ -z $processes ]]; then
        processes=1
        if [[ ${PRESET:-quick} == quick ]] && (($(nproc) > 1)) && [[ -z $(compgen -G '/dev/nvidia[0-9]*') ]]; then processes=2; fi
    fi
    [[ $processes =~ ^[1-9][0-9]*$ ]] || geneface_error "PROCESSES is a number of 1 or more, found '$processes'" || return
    echo "$processes"
}

# usage: import_original <video_id>
# Bring a released GeneFace along that lies where its users put it: experiments of the person and generic ones under
# checkpoints, the dataset in data/binary/videos/<video_id>. What is imported already stays as it is.
import_original() {
    local root=${GENEFACE_ROOT:-.} owner sources=() dataset
    dataset=$root/data/binary/videos/$1
    if [[ -f $dataset/trainval_dataset.npy && ! -f $dataset/manifest.json ]]; then
        "$(python_bin)" scripts/import_geneface.py --dataset "$dataset/trainval_dataset.npy" --video_id "$1"
    fi
    for owner in lrs3 "$1"; do
        if [[ -n $(compgen -G "$root/checkpoints/$owner/*/model_ckpt_steps_*.ckpt") &&
            -z $(compgen -G "$root/checkpoints/$owner/*/import_report.json") ]]; then
            sources+=("$root/checkpoints/$owner")
        fi
    done
    if ((${#sources[@]})); then
        "$(python_bin)" scripts/import_geneface.py "${sources[@]}"
    fi
}
