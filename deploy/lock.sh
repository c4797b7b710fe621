#!/bin/sh
# Makes the lock files of the container anew, from pyproject.toml. Needs uv; where torch's own index
# of CPU wheels cannot be asked, a directory with its CPU wheel.
#
#   deploy/lock.sh --extra-index-url URL_OF_TORCH_CPU_WHEELS
#   deploy/lock.sh --find-links DIRECTORY_WITH_THE_WHEEL
#
# requirements.cpu.lock has torch's CPU build, requirements.lock that of the default index, which
# brings CUDA, and build.lock what builds the wheel of the twin itself. All are for x86-64 and the
# Python of the image.
set -eu
cd "$(dirname "$0")/.."
locked() {
    to=$1 from=$2
    shift 2
    uv pip compile "$from" --output-file "deploy/$to" --quiet --generate-hashes --upgrade \
        --python-version 3.11 --python-platform x86_64-manylinux_2_28 --only-binary :all: \
        --no-annotate --no-emit-index-url --no-emit-find-links \
        --custom-compile-command "deploy/lock.sh; for x86-64 and Python 3.11" "$@"
}
[ $# -gt 0 ] || { echo "say where torch's CPU wheels are: see $0" >&2; exit 2; }
locked requirements.cpu.lock pyproject.toml --index-strategy unsafe-best-match "$@"
locked requirements.lock pyproject.toml
requires=$(mktemp --suffix .in)
trap 'rm -f "$requires"' EXIT
python3 - >"$requires" <<'PYTHON'
import tomllib

with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["build-system"]["requires"], sep="\n")
PYTHON
locked build.lock "$requires"
