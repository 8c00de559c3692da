# Sourced after venv.sh by demo.sh, test.sh and bench.sh: programs of the system that Debian and Ubuntu have.

# have_apt PROGRAM PACKAGE...: installs what is missing, when we are root. Never fails: without a peer its part is left
# out.
have_apt() {
    if command -v "$1" >/dev/null 2>&1 || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        return 0
    fi
    shift
    say "Installing $* with apt ..."
    apt-get update -qq >/dev/null 2>&1 || say "apt-get update failed; trying with what is known"
    if install_asleep "$@" >/dev/null 2>&1; then
        for package in "$@"; do
            systemctl disable "$package" >/dev/null 2>&1 || true
        done
    else
        say "$* could not be installed"
    fi
}

# unpack_apt NAME PROGRAM PACKAGE...: into .cache/NAME, for packages that may not be installed beside others. Never fails.
unpack_apt() {
    target=.cache/$1
    if [ -x "$target/$2" ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
        return 0
    fi
    shift 2
    say "Unpacking $* into $target ..."
    rm -rf "$target"
    mkdir -p "$target/packages"
    if (cd "$target/packages" && { apt-get download -qq "$@" || { apt-get update -qq && apt-get download -qq "$@"; }; }) \
        >"$target.log" 2>&1
    then
        for package in "$target"/packages/*.deb; do
            dpkg -x "$package" "$target"
        done
    else
        say "$* could not be fetched: $(tail -n 1 "$target.log")"
    fi
}

# Debian starts the servers that it installs, now and when the machine starts. Ours are started by who needs them, on
# ports of their own; one that was there before is left as it was.
install_asleep() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        trap 'exit 130' INT TERM
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod 755 "$policy"
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
)

# wants_xmpp ARGUMENTS of the demo: false when they leave XMPP out, or bring a server.
wants_xmpp() {
    peers='' before=''
    for argument in "$@"; do
        case $argument in
            --no-xmpp | --help | --xmpp-component | --xmpp-component=*) return 1 ;;
            --only=*) peers=${argument#--only=} ;;
        esac
        if [ "$before" = --only ]; then
            peers=$argument
        fi
        before=$argument
    done
    case ",$peers," in
        ,, | *,xmpp,*) return 0 ;;
        *) return 1 ;;
    esac
}
