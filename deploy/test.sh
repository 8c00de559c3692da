#!/bin/sh
# Everything that is checked: format, lint, types, import contracts, tests. Arguments go to pytest.
#   sh deploy/test.sh [pytest args]
# A missing peer (node, npm) is a skip with its reason, listed at the end; REQUIRE=all makes it a failure.
set -eu
cd "$(dirname "$0")/.."
. deploy/venv.sh
make_venv tests/requirements.lock

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
