#!/bin/sh
# Builds the trainer against a libtorch with CUDA and runs its tests and `bench dp-step` on the GPU.
#
#   models/cuda.sh PYTHON     a Python with torch 2.13, or
#   models/cuda.sh LIBTORCH   a folder of libtorch 2.13
#
# With a folder `vendor`, of `cargo vendor`, nothing is downloaded. Steps fall on the GPU by themselves where there is one.
set -eu
cd "$(dirname "$0")/.."
torch=${1:?a Python with torch 2.13 or a folder of libtorch 2.13}

if [ -d "$torch" ]; then
    version=$(cat "$torch/build-version")
    LIBTORCH=$(cd "$torch" && pwd)
else
    version=$("$torch" -c 'import torch; print(torch.__version__)')
    LIBTORCH=$("$torch" -c 'import os, torch; print(os.path.dirname(torch.__file__))')
fi
case $version in
    2.13.*) ;;
    *) echo "$torch is torch $version; the trainer is made for 2.13" >&2; exit 1 ;;
esac
[ -e "$LIBTORCH/lib/libtorch_cuda.so" ] || echo "$torch has no CUDA: all steps fall on the CPU" >&2
export LIBTORCH LD_LIBRARY_PATH="$LIBTORCH/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

set --
[ -d vendor ] && set -- --offline \
    --config 'source.crates-io.replace-with="vendored"' --config 'source.vendored.directory="vendor"'
cargo "$@" test --release --package fedtwin-models
cargo "$@" run --release --package fedtwin-models --bin fedtwin-dp-step -- --threads 1 --seconds 20
