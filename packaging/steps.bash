# Steps with a progress line each, packages, and an end that leaves nothing running; for the scripts
# of this folder.
# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: GPL-2.0-or-later

# What it takes to build.
build_packages=(
  cmake ninja-build g++ pkg-config ccache
  libmnl-dev libnftnl-dev libnetfilter-conntrack-dev libsqlite3-dev libsqlitecpp-dev libxxhash-dev libfmt-dev
  libboost1.81-dev libboost-json1.81-dev libtomlplusplus-dev libcli11-dev
  libpcap-dev zlib1g-dev libzstd-dev libssl-dev
)
# What the lab takes, beside them.
lab_packages=(iproute2 kmod nftables nginx openssl python3 util-linux)

if [[ -t 1 && -z ${NO_COLOR-} ]]; then
  bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
else
  bold='' green='' red='' yellow='' plain=''
fi

script=packaging/$(basename "$0")
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
log=$(mktemp "/tmp/cloudron-fw-$(basename "$0").XXXXXX")
child=''
beside=''
made_policy_rc=''

die() {
  printf '%s%s: %s%s\n' "$red" "$script" "$*" "$plain" >&2
  exit 1
}

need_root() {
  [[ $EUID -eq 0 ]] || die "this needs root (try: sudo $script)"
}

# Ends what runs, and takes back what apt needed.
finish() {
  local code=$?
  trap - EXIT INT TERM
  if [[ -n $child ]]; then
    kill "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  if [[ -n $beside ]]; then
    # A group of its own.
    kill -- "-$beside" 2>/dev/null || true
    wait "$beside" 2>/dev/null || true
  fi
  if [[ -n $made_policy_rc ]]; then rm -f /usr/sbin/policy-rc.d; fi
  rm -f "$log"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# run COMMAND...: waits for it in a way that a kill is heard at once.
run() {
  local code=0
  "$@" </dev/null &
  child=$!
  wait "$child" || code=$?
  child=''
  return "$code"
}

# begin LOG COMMAND...: goes on beside what is run, on what that leaves of the processors, until
# `end`, which waits and returns its exit code. One at a time; it says what it says to LOG.
begin() {
  set -m
  beside_the_rest "$@" </dev/null >"$1" 2>&1 &
  beside=$!
  set +m
}
beside_the_rest() {
  chrt --idle --pid 0 "$BASHPID"
  log=$1.quiet
  shift
  "$@"
}
end() {
  local code=0
  wait "$beside" || code=$?
  beside=''
  return "$code"
}

# quietly COMMAND...: shows the output only when it fails.
quietly() {
  if "$@" </dev/null >"$log" 2>&1; then return; fi
  echo
  tail -n 60 "$log" >&2
  die "failed: $*"
}

# steps N, then step TEXT before each of them; step_done says how long it took.
steps() {
  step_count=$1
  step_now=0
}
step() {
  step_now=$((step_now + 1))
  step_began=$SECONDS
  printf '%s[%d/%d]%s %s ...' "$bold" "$step_now" "$step_count" "$plain" "$*"
}
step_done() {
  printf ' %s%d s%s\n' "$green" $((SECONDS - step_began)) "$plain"
}

# Systemd runs here, and does what it is told.
systemd_answers() {
  [[ -d /run/systemd/system ]] && timeout 20 systemctl show-environment >/dev/null 2>&1
}

# install_packages NAME...: those that are missing. Starts no service.
install_packages() {
  local name missing=()
  for name in "$@"; do
    if [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) != installed ]]; then
      missing+=("$name")
    fi
  done
  ((${#missing[@]})) || return 0
  export DEBIAN_FRONTEND=noninteractive
  if [[ ! -e /usr/sbin/policy-rc.d ]]; then
    made_policy_rc=yes
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
  fi
  quietly apt-get -qq -o Acquire::Retries=3 update
  quietly apt-get -qq -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 \
    --no-install-recommends install "${missing[@]}"
  if [[ -n $made_policy_rc ]]; then
    rm -f /usr/sbin/policy-rc.d
    made_policy_rc=''
  fi
}

# with_progress COMMAND...: quietly, but on a terminal ninja's [n/m] stands at the end of the line.
with_progress() {
  local code=0 out shown
  if [[ ! -t 1 ]]; then
    quietly run "$@"
    return
  fi
  exec {out}> >(tee "$log" | show_progress)
  shown=$!
  run "$@" >&"$out" 2>&1 || code=$?
  exec {out}>&-
  wait "$shown" || true
  ((code == 0)) && return
  echo
  tail -n 60 "$log" >&2
  die "failed: $*"
}
show_progress() {
  local line
  printf '\e7'  # remembers the place, and \e8 goes back to it
  while IFS= read -r line; do
    if [[ $line =~ ^\[[0-9]+/[0-9]+\] ]]; then printf '\e8\e[K %s' "${BASH_REMATCH[0]}"; fi
  done
  printf '\e8\e[K'
}

# build PRESET [TARGET...]: into build/PRESET.
build() {
  local preset=$1
  shift
  # Build folders share what the compiler made.
  export CCACHE_NOHASHDIR=true
  cd "$source_dir" || exit
  quietly cmake --preset "$preset"
  with_progress ninja -C "build/$preset" "$@"
}
