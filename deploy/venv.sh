# Sourced by demo.sh, test.sh and bench.sh: makes .venv from a lock file, with uv when it is there, else with pip.
# $PYTHON names an interpreter; without it the first of Python 3.11 to 3.13 on the PATH is taken.

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for candidate in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return 0
        fi
    done
    say "This needs Python 3.11, 3.12 or 3.13; set PYTHON to one, or install it (Debian, Ubuntu: apt-get install python3 python3-venv)."
    return 1
}

# make_venv LOCK: .venv holds what LOCK names and this project; nothing is done when it does already.
make_venv() {
    lock=$1
    stamp=$(cat "$lock" pyproject.toml | cksum)
    if [ -x .venv/bin/python ] && [ "$(cat .venv/stamp 2>/dev/null)" = "$lock $stamp" ]; then
        return 0
    fi
    # What the tests need holds all that the demo needs.
    if [ -x .venv/bin/dm3-gateway ] && [ "$lock" = requirements.lock ]; then
        tests_stamp=$(cat tests/requirements.lock pyproject.toml | cksum)
        if [ "$(cat .venv/stamp 2>/dev/null)" = "tests/requirements.lock $tests_stamp" ]; then
            return 0
        fi
    fi
    if command -v uv >/dev/null 2>&1; then
        say "Installing into .venv with uv ..."
        [ -x .venv/bin/python ] || uv venv --quiet --python "$(find_python)" .venv
        uv pip install --quiet --python .venv/bin/python --require-hashes -r "$lock"
        uv pip install --quiet --python .venv/bin/python --no-deps -e .
    else
        say "Installing into .venv with pip (about half a minute) ..."
        if [ ! -x .venv/bin/pip ]; then
            python=$(find_python)
            if ! "$python" -c 'import ensurepip' 2>/dev/null; then
                say "$python cannot make virtual environments. Debian, Ubuntu: apt-get install python3-venv"
                return 1
            fi
            "$python" -m venv --clear .venv
        fi
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
    fi
    printf '%s' "$lock $stamp" > .venv/stamp
}
