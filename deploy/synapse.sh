# Sourced after venv.sh by demo.sh and test.sh: makes .cache/synapse from deploy/synapse.lock, which is the homeserver
# Synapse in an environment of its own, because it wants other versions than we do. deploy/synapse.lock is made with
#   echo 'matrix-synapse==1.163.2' | uv pip compile --universal --python-version 3.11 --generate-hashes \
#       --no-emit-index-url --no-header --no-annotate - -o deploy/synapse.lock
# $DM3_SYNAPSE_PYTHON names the interpreter of another Synapse; then nothing is installed here.

# make_synapse: nothing is done when it is there already. Never fails: without Synapse the part of Matrix is left out.
make_synapse() {
    synapse_stamp=$(cksum < deploy/synapse.lock)
    if [ -n "${DM3_SYNAPSE_PYTHON:-}" ]; then
        return 0
    fi
    if [ "$(cat .cache/synapse/stamp 2>/dev/null)" = "$synapse_stamp" ] && .cache/synapse/bin/python -c '' 2>/dev/null
    then
        return 0
    fi
    say "Installing the Matrix homeserver Synapse into .cache/synapse (about a minute) ..."
    mkdir -p .cache
    if install_synapse > .cache/synapse.log 2>&1; then
        printf '%s' "$synapse_stamp" > .cache/synapse/stamp
    else
        say "Synapse could not be installed, Matrix is left out: $(tail -n 1 .cache/synapse.log) (all of it: .cache/synapse.log)"
    fi
}

# Wheels only: without one for this machine a build would take many minutes and a Rust compiler.
install_synapse() {
    python=$(find_python) || return 1
    rm -rf .cache/synapse
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet --python "$python" .cache/synapse &&
            uv pip install --quiet --python .cache/synapse/bin/python --only-binary :all: --compile-bytecode \
                --require-hashes -r deploy/synapse.lock
    else
        "$python" -m venv .cache/synapse &&
            .cache/synapse/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
                --require-hashes -r deploy/synapse.lock
    fi
}

# wants_matrix ARGUMENTS of the demo: false when they leave Matrix out, or bring a homeserver.
wants_matrix() {
    peers='' before=''
    for argument in "$@"; do
        case $argument in
            --no-matrix | --help | --matrix-homeserver | --matrix-homeserver=*) return 1 ;;
            --only=*) peers=${argument#--only=} ;;
        esac
        if [ "$before" = --only ]; then
            peers=$argument
        fi
        before=$argument
    done
    case ",$peers," in
        ,, | *,matrix,*) return 0 ;;
        *) return 1 ;;
    esac
}
