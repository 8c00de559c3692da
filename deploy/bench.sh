#!/bin/sh
# How fast each hot path is, beside its floor, measured in one run: a table, and bench.json. See tests/bench/README.md.
#   sh deploy/bench.sh [row ...]
set -eu
cd "$(dirname "$0")/.."
. deploy/venv.sh
make_venv tests/requirements.lock
exec .venv/bin/python -m tests.bench "$@"
