#!/usr/bin/env bash
# Install what tests need, then run every check.   usage: bash scripts/test.sh [pytest arguments]
# With pytest arguments only pytest runs. GENEFACE_PYTHON names an existing interpreter; GENEFACE_TEST_JOBS the processes.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/lib.sh
help_if_asked "$@"
ensure_environment requirements-dev.txt
python=$(python_bin)
bin=$(dirname "$("$python" -c 'import sys; print(sys.executable)')")
jobs=${GENEFACE_TEST_JOBS:-$(nproc)} # before the next line, which nproc would heed
export OMP_NUM_THREADS=1
failed=()

check() {
    local name=$1 began=$SECONDS
    shift
    echo "== $name"
    "$@" || failed+=("$name")
    echo "   $name: $((SECONDS - began)) s"
}

if [[ $# == 0 ]]; then
    check "ruff check" "$bin/ruff" check .
    check "ruff format" "$bin/ruff" format --check .
    check "mypy" "$bin/mypy"
    check "import-linter" env PYTHONPATH=. "$bin/lint-imports"
fi
check "pytest" "$python" -m pytest -q -n "$jobs" --durations=15 "$@"
if ((${#failed[@]})); then
    echo "FAILED: $(printf '%s, ' "${failed[@]}" | sed 's/, $//')"
    exit 1
fi
echo "all checks passed in $SECONDS s"
