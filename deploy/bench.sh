#!/bin/sh
# How fast each hot path is, beside its floor or its peer, measured in one run: a table, and bench.json. See
# tests/bench/README.md.
#   sh deploy/bench.sh [row ...]
# tests/bench/requirements.lock is the dependency group "bench" of pyproject.toml with all that it needs, in the
# versions of tests/requirements.lock where that has them.
set -eu
cd "$(dirname "$0")/.."
. deploy/venv.sh
. deploy/synapse.sh
. deploy/apt.sh
make_venv tests/requirements.lock
make_synapse
have_apt prosody prosody
if ! command -v exim4 >/dev/null 2>&1; then
    # Either keeps the other from being installed.
    have_apt postfix postfix
fi

# install_peers: nothing to do when they are there. Without them their rows have no peer to stand beside.
install_peers() {
    set -- --quiet --no-deps --require-hashes -r tests/bench/requirements.lock
    if [ -x .venv/bin/pip ]; then
        .venv/bin/python -m pip install --disable-pip-version-check "$@"
    else
        uv pip install --python .venv/bin/python "$@"
    fi
}
install_peers || say "The peers could not be installed; they are left out."

exec .venv/bin/python -m tests.bench "$@"
