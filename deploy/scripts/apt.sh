# Sourced by the install scripts: installs Debian or Ubuntu packages, as root or through sudo.

# Keeps a package's servers from being started: tests and the demo start their own, on ports of their own.
without_services() (
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap '$sudo rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
        $sudo chmod +x "$policy"
    fi
    "$@"
)

# install_packages PACKAGE…
install_packages() {
    command -v apt-get >/dev/null || {
        echo "$0: this system has no apt-get: install $* or their equal by hand" >&2
        exit 1
    }
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "$0: installing $* takes root or sudo" >&2
            exit 1
        }
        sudo=sudo
    fi
    echo "installing $*" >&2
    local log
    log=$(mktemp)
    if ! {
        $sudo apt-get update -q &&
            without_services $sudo env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
    } >"$log" 2>&1 </dev/null; then
        tail -n 30 "$log" >&2
        echo "$0: apt-get could not install $*" >&2
        exit 1
    fi
    rm -f "$log"
}
