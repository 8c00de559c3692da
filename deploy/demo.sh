#!/bin/sh
# A whole world on this machine: local chain, relay, resolver, mail, Matrix, XMPP, and a story of real messages between them.
#   sh deploy/demo.sh [--once] [--only email] [--no-matrix] [--no-xmpp] [--help]
set -eu
cd "$(dirname "$0")/.."
. deploy/venv.sh
. deploy/synapse.sh
. deploy/apt.sh
make_venv requirements.lock
if wants_matrix "$@"; then
    make_synapse
fi
if wants_xmpp "$@"; then
    have_apt prosody prosody prosody-modules
fi
exec .venv/bin/dm3-gateway demo "$@"
