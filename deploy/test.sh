#!/bin/sh
# Everything that is checked: format, lint, types, import contracts, tests. Arguments go to pytest.
#   sh deploy/test.sh [pytest args]
# A missing peer (node, npm, Redis, libfaketime, Chromium, Synapse, Prosody, ejabberd, Postfix, Exim) is a skip with its reason, listed at the end;
# REQUIRE=all makes it a failure. Redis, libfaketime, SoftHSM, Chromium, Prosody, ejabberd and Postfix are installed with apt when they
# are missing and we are root, and are never started as services; Exim is unpacked into .cache.
set -eu
cd "$(dirname "$0")/.."
. deploy/venv.sh
. deploy/synapse.sh
. deploy/apt.sh
make_venv tests/requirements.lock
make_synapse

have_apt redis-server redis-server
have_apt faketime faketime
have_apt softhsm2-util softhsm2
have_apt pkcs11-tool opensc
have_apt chromium chromium fonts-dejavu-core
have_apt prosody prosody prosody-modules
have_apt ejabberdctl ejabberd
if ! command -v exim4 >/dev/null 2>&1; then
    # Either keeps the other from being installed.
    have_apt postfix postfix
fi
unpack_apt exim usr/sbin/exim4 exim4-daemon-light libidn12

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
    set -- -n 3 --dist loadgroup
fi
step "tests" .venv/bin/python -m pytest -q "$@"
