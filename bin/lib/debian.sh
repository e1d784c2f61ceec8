# shellcheck shell=bash
# What must be on a Debian machine, by purpose, and how it gets there. Sourced after terminal.sh.

declare -A PACKAGES=(
    # bin/build-test-guest
    [guest]="busybox-static cpio dosfstools dropbear-bin e2fsprogs fdisk kmod lz4 mtools
        qemu-utils syslinux syslinux-common"
    # What nova-compute and nova-network drive, and what an operator logs in with.
    [cloud]="dnsmasq-base iproute2 libvirt-clients libvirt-daemon-driver-qemu
        libvirt-daemon-system nftables openssh-client procps qemu-system-x86 qemu-utils"
    # libvirt-python is compiled against the libvirt of the machine.
    [python]="gcc libc6-dev libvirt-dev pkg-config"
    # What tests/engines.py starts.
    [engines]="mariadb-server postgresql rabbitmq-server"
)

# packages_missing GROUP...: the packages of these groups that are not installed.
packages_missing() {
    local group wanted=()
    for group in "$@"; do
        # Names that are no group are packages themselves.
        read -r -d '' -a wanted <<<"${wanted[*]} ${PACKAGES[$group]-$group}" || true
    done
    [ ${#wanted[@]} -gt 0 ] || return 0
    comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) <(
        dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null |
            sed -n 's/^installed //p' | sort -u
    )
}

# packages_ensure GROUP...: installs what is missing and starts none of it.
packages_ensure() {
    local missing
    mapfile -t missing < <(packages_missing "$@")
    policy_remove
    [ ${#missing[@]} -gt 0 ] || return 0
    [ -e /etc/debian_version ] ||
        fail "this is not Debian" "use a Debian 12 machine or container"
    [ "$(id -u)" = 0 ] ||
        fail "not root, and packages are missing" "sudo apt-get install ${missing[*]}"
    space_ensure /var/cache/apt 1500
    echo "    installing: ${missing[*]}"
    # What somebody has interrupted comes first, or apt refuses everything.
    [ -z "$(dpkg --audit)" ] || DEBIAN_FRONTEND=noninteractive dpkg --configure -a >"$APT_LOG" 2>&1 ||
        fail "an installation was interrupted, and cannot be finished" "see $APT_LOG"
    # Lists may be absent (a container) or older than the mirror (then the first try fails).
    if ! apt-cache show "${missing[@]}" >/dev/null 2>&1 || ! apt_install "${missing[@]}"; then
        apt_run update || fail "apt-get update failed" "is there a network? see $APT_LOG"
        apt_install "${missing[@]}" || fail "apt-get install failed" "see $APT_LOG"
    fi
}

# space_ensure DIRECTORY MEGABYTES: there is that much room for what is about to be written.
space_ensure() {
    local directory=$1 wanted=$2 free
    while [ ! -d "$directory" ]; do directory=$(dirname "$directory"); done
    free=$(df -Pm "$directory" | awk 'NR == 2 {print $4}')
    [ "$free" -ge "$wanted" ] ||
        fail "$directory has $free MB left, $wanted MB are needed" "free some, or use another disk"
}

APT_LOG=${TMPDIR:-/tmp}/nova-lite-apt-$(id -u).log

# apt_run ARGUMENTS...: apt-get with a bar, its own words kept in a log.
apt_run() {
    DEBIAN_FRONTEND=noninteractive apt-get -y -o APT::Status-Fd=3 -o DPkg::Lock::Timeout=300 "$@" \
        3>&1 >"$APT_LOG" 2>&1 </dev/null | apt_percent | bar
}

# apt tells its progress as "kind:package:percent:words".
apt_percent() {
    local percent words
    while IFS=: read -r _ _ percent words; do
        printf '%s\t%s\n' "$percent" "$words"
    done
}

POLICY=/usr/sbin/policy-rc.d
POLICY_MARK="# nova_lite: while it installs packages"

# Installing starts nothing: what is needed is started by who needs it, where and as he wants it.
# Asked by every maintainer script, with systemd and without; an answer already there is kept.
apt_install() (
    if [ ! -e $POLICY ]; then
        trap policy_remove EXIT
        printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >$POLICY
        chmod 755 $POLICY
    fi
    apt_run --no-install-recommends install "$@"
)

# Also of one who was killed: it would keep this machine from ever starting a service.
policy_remove() {
    if grep -qsxF "$POLICY_MARK" $POLICY; then rm -f $POLICY; fi
}
