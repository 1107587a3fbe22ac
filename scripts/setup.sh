#!/usr/bin/env bash
# Makes this checkout ready to use: the servers from the distribution's packages, and a
# virtual environment with pgstead in it. Installs only what is missing; asks nothing.
#
#   setup.sh path   prints where the virtual environment is, or would be
#   setup.sh run    what `pgstead up` needs
#   setup.sh dev    the same, and what the tests need: for virtual machines too, where it can
#                   be installed; tests that lack something are skipped, and say what
set -euo pipefail
umask 022 # the servers' unprivileged user must be able to read the interpreter

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf 'setup: %s\n' "$*" >&2; }

die() {
    say "$1"
    [[ -z ${2:-} ]] || printf '  hint: %s\n' "$2" >&2
    exit 1
}

# Whether a command succeeds for a user without any rights. As an ordinary user the
# servers run as that user, so the question is whether it succeeds at all.
as_nobody() {
    if ((EUID == 0)); then
        setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@" 2>/dev/null
    else
        "$@" 2>/dev/null
    fi
}

venv_path() {
    local own=$root/.venv
    if as_nobody test -x "$root" && { [[ ! -d $own ]] || as_nobody test -x "$own/bin/python"; }; then
        echo "$own"
    else
        echo "/var/lib/pgstead/venvs/$(printf %s "$root" | sha256sum | cut -c1-16)"
    fi
}

new_enough() {
    as_nobody "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))'
}

find_python() {
    local candidate found
    for candidate in /usr/bin/python3 python3.13 python3.12 python3.11 python3; do
        found=$(command -v "$candidate") || continue
        new_enough "$found" && echo "$found" && return
    done
    return 1
}

has_program() { PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$1" >/dev/null; }

missing_packages() {
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || has_program postgres || echo postgresql
    has_program etcd || echo etcd-server
    has_program etcdctl || echo etcd-client
    has_program haproxy || echo haproxy
    has_program nft || echo nftables # drills that cut a leader off
    if [[ -z $python ]]; then
        echo python3 python3-venv
    elif [[ ! -x $venv/bin/python ]] && ! "$python" -c 'import ensurepip' 2>/dev/null; then
        echo python3-venv
    fi
}

# What tests with virtual machines and containers lack.
virtual_packages() {
    [[ $(uname -m) == x86_64 ]] && command -v apt-get >/dev/null || return 0
    "$python" "$root/scripts/packages.py"
}

# Prints the words to put before a command that needs root; fails when there are none.
elevate() {
    if ((EUID == 0)); then
        echo env
    elif ! command -v sudo >/dev/null; then
        return 1
    elif sudo -n true 2>/dev/null; then
        echo sudo -n
    elif [[ -t 0 && -z ${CI:-} ]]; then
        echo sudo # asks for the password, on a terminal only
    else
        return 1
    fi
}

apt_install() {
    local -a become=("${@:1:become_words}") packages=("${@:become_words+1}")
    local -a quiet=(DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1)
    local -a apt=(apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
    "${become[@]}" env "${quiet[@]}" "${apt[@]}" update </dev/null >&2 ||
        say "apt-get update failed; going on with the lists that are there"
    "${become[@]}" env "${quiet[@]}" "${apt[@]}" install --yes --no-install-recommends \
        "${packages[@]}" </dev/null >&2
}

# install_packages WORDS: installs what `WORDS_packages` prints.
install_packages() {
    local -a packages become
    read -r -d '' -a packages < <("$1_packages") || true
    ((${#packages[@]})) || return 0
    if ! command -v apt-get >/dev/null; then
        say "missing: ${packages[*]} (this machine has no apt-get; install them by its own means)"
    elif read -r -a become < <(elevate); then
        say "installing ${packages[*]}"
        become_words=${#become[@]} apt_install "${become[@]}" "${packages[@]}"
    else
        say "missing: ${packages[*]}, and $(id -un) may not install packages"
        say "  an administrator runs: apt-get install --no-install-recommends ${packages[*]}"
        [[ $1 != missing ]] ||
            say "  or, without root, unpack them for yourself: $venv/bin/pgstead doctor --fix"
    fi
}

# What an installed environment depends on: any change installs anew.
fingerprint() {
    { cat "$root/pyproject.toml" "$root/requirements.lock" && "$python" -V && echo "$root"; } | sha256sum
}

make_venv() {
    local place=$venv/.pgstead-place
    [[ $venv == "$root/.venv" ]] || say "others cannot read $root: the virtual environment is $venv"
    if [[ -f $place && $(cat "$place") != "$venv" ]]; then
        "$python" -m venv --clear "$venv" # moved here from elsewhere: its scripts name the old place
    elif [[ ! -x $venv/bin/pip ]]; then
        mkdir -p "$(dirname "$venv")"
        "$python" -m venv "$venv" || die "cannot make a virtual environment in $venv" \
            "apt-get install python3-venv"
    fi
    echo "$venv" >"$place"
}

pip_install() {
    PIP_CONSTRAINT=$root/requirements.lock PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 \
        "$venv/bin/python" -m pip install --quiet --use-pep517 "$@" </dev/null >&2
}

install_venv() {
    local kind=$1 stamp=$venv/.pgstead-$1
    local -a extra=()
    [[ -f $stamp && $(cat "$stamp") == "$(fingerprint)" ]] && return
    make_venv
    say "installing pgstead into $venv"
    [[ $kind != dev ]] || mapfile -t extra < <("$python" "$root/scripts/requirements.py" dev)
    rm -f "$venv"/.pgstead-{run,dev}
    pip_install "${extra[@]}" --editable "$root"
    as_nobody "$venv/bin/python" -c 'import patroni' ||
        die "an unprivileged user cannot run $venv/bin/python" "check the modes of its folders"
    fingerprint >"$venv/.pgstead-run" # the tests' needs include those of a run
    fingerprint >"$stamp"
}

# The extra `libvirt` is built against the system's library, so only where that is.
install_bindings() {
    local -a wanted
    [[ -e /usr/include/libvirt/libvirt.h ]] || return 0
    ! "$venv/bin/python" -c 'import libvirt, pycdlib' 2>/dev/null || return 0
    mapfile -t wanted < <("$python" "$root/scripts/requirements.py" libvirt)
    say "installing ${wanted[*]}"
    pip_install "${wanted[@]}" || say "they could not be built: tests that need them are skipped"
}

# OpenStack's services have an environment of their own, in the user's cache.
install_openstack() {
    PYTHONPATH=$root/tests "$venv/bin/python" -m support.openstack install ||
        say "OpenStack's services could not be installed: tests that need them are skipped"
}

main() {
    venv=$(venv_path)
    [[ $1 != path ]] || { echo "$venv" && return; }
    [[ $1 == run || $1 == dev ]] || die "unknown: $1" "setup.sh path, run or dev"
    python=$(find_python) || python=
    install_packages missing
    python=$(find_python) || die "no Python 3.11 or newer" "Debian 12, Ubuntu 24.04 or newer have one"
    install_venv "$1"
    [[ $1 == dev ]] || return 0
    install_packages virtual || say "tests with virtual machines are skipped where they lack something"
    install_bindings
    install_openstack
}

# One setup at a time for a checkout; `path` only reads. flock -o: nothing that is started keeps the lock.
if [[ ${1:-run} != path && -z ${PGSTEAD_SETUP_LOCKED:-} ]]; then
    PGSTEAD_SETUP_LOCKED=1 exec flock -o "$root" "${BASH_SOURCE[0]}" "${1:-run}"
fi
main "${1:-run}"
