#!/bin/sh
# Everything that is checked: format, lint, types, import contracts, tests. Arguments go to pytest.
#   sh deploy/test.sh [pytest args]
# A missing peer (node, npm, Redis, Chromium, Synapse) is a skip with its reason, listed at the end; REQUIRE=all makes
# it a failure. Redis, SoftHSM and Chromium are installed with apt when they are missing and we are root.
set -eu
cd "$(dirname "$0")/.."
. deploy/venv.sh
. deploy/synapse.sh
make_venv tests/requirements.lock
make_synapse

# have_apt PROGRAM PACKAGE...: what cannot be installed is a skip of its tests.
have_apt() {
    if command -v "$1" >/dev/null 2>&1 || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        return 0
    fi
    shift
    say "Installing $* with apt ..."
    apt-get update -qq >/dev/null 2>&1 || say "apt-get update failed; trying with what is known"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 ||
        say "$* could not be installed"
}

have_apt redis-server redis-server
have_apt softhsm2-util softhsm2
have_apt pkcs11-tool opensc
have_apt chromium chromium fonts-dejavu-core

step() {
    say "== $1"
    shift
    "$@"
}

step "format" .venv/bin/ruff format --check --quiet .
step "lint" .venv/bin/ruff check --quiet .
step "types" .venv/bin/mypy
step "import contracts" .venv/bin/lint-imports --no-cache
if [ $# -eq 0 ]; then
    set -- -n 2 --dist loadgroup
fi
step "tests" .venv/bin/python -m pytest -q "$@"
