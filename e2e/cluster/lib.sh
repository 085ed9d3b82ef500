# Sourced by the recipes of this folder: versions, the cache, and a Docker daemon.
# shellcheck shell=bash disable=SC2034

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

kubernetes_version=1.35.4
kind_version=0.33.0
helm_version=4.3.1
# The node's Debian: its systemd still boots on hosts whose memory controller is cgroup v1.
debian=bookworm

# Outside the checkout and named by version, so that every checkout shares it and none is stale.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/penstock/kind-$kind_version-kubernetes-$kubernetes_version
programs=$cache/bin
node_image=penstock.local/kind-node:v$kubernetes_version
debian_image=penstock.local/debian:$debian
# Go's own flags, so that a build depends on nothing but its module.
export GOFLAGS=-buildvcs=false CGO_ENABLED=0 DEBIAN_FRONTEND=noninteractive
export PATH=$programs:/usr/local/sbin:/usr/sbin:/usr/local/go/bin:/usr/bin:$PATH
mkdir -p "$programs"

say() { printf '   [%4d s] %s\n' "$SECONDS" "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# packages COMMAND:PACKAGE... installs the packages whose commands are missing.
packages() {
    local missing=() pair
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "apt-get install ${missing[*]}"
    as_root apt-get update -qq
    as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$cache/apt.log" 2>&1 ||
        die "apt-get failed, see $cache/apt.log"
}

# go_program NAME MODULE@VERSION PACKAGE builds a command of a module, once a version.
go_program() {
    local name=$1 module=$2 package=$3 work
    [ "$(cat "$programs/.$name" 2>/dev/null)" != "$module" ] || return 0
    command -v go >/dev/null || die "Go is needed to build $name"
    say "go build $module"
    work=$(mktemp -d)
    (
        cd "$work"
        go mod init local/build 2>/dev/null
        go get "$module"
        go build -mod=mod -trimpath -ldflags '-s -w' -o "$programs/$name" "$package"
    ) >"$cache/$name.log" 2>&1 || die "go build failed, see $cache/$name.log"
    rm -rf "$work"
    printf '%s\n' "$module" >"$programs/.$name"
}

module_folder() { go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'; }

docker_socket=$cache/run/docker.sock
docker_pid=$cache/run/docker.pid

# A daemon that answers is used as it is. Otherwise one of our own is started; down.sh ends it.
docker_up() {
    packages docker:docker.io dockerd:docker.io iptables:iptables jq:jq
    if [ -z "${DOCKER_HOST:-}" ] && [ -S "$docker_socket" ]; then
        export DOCKER_HOST=unix://$docker_socket
    fi
    ! docker info >/dev/null 2>&1 || return 0
    [ "$(id -u)" -eq 0 ] || die "no Docker daemon answers, and starting one needs root"
    say 'start dockerd'
    mkdir -p "$cache/run" "$cache/docker"
    export DOCKER_HOST=unix://$docker_socket
    install -m 0755 "$here/runc-capped" "$programs/runc-capped"
    rm -f "$docker_pid"
    setsid dockerd --host "$DOCKER_HOST" --pidfile "$docker_pid" \
        --data-root "$cache/docker" --exec-root "$cache/run/docker" \
        --oom-score-adjust 0 --add-runtime "capped=$programs/runc-capped" --default-runtime capped \
        >"$cache/dockerd.log" 2>&1 </dev/null &
    local tries
    for tries in $(seq 300); do
        ! docker info >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    die "dockerd did not answer in 30 s, see $cache/dockerd.log"
}

# Ends the daemon that docker_up started, by its process id.
docker_down() {
    [ -s "$docker_pid" ] || return 0
    local pid tries
    pid=$(cat "$docker_pid")
    kill "$pid" 2>/dev/null || return 0
    for tries in $(seq 300); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "$pid"
}
