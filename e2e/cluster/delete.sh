# Sourced by up.sh and down.sh: deletes a cluster, whatever is left of it.
# shellcheck shell=bash

# Nodes that were killed while they made containers (cgroup v1) leave some that are frozen and do not
# die; the daemon gives up on their node.
thaw() {
    local node state
    for node in $(docker ps --all --quiet --no-trunc --filter "label=io.x-k8s.kind.cluster=$1"); do
        for state in $(find "/sys/fs/cgroup/freezer/docker/$node" -name freezer.state 2>/dev/null); do
            ! grep -qx FROZEN "$state" 2>/dev/null || as_root tee "$state" <<<THAWED >/dev/null || true
        done
    done
}

# delete_cluster NAME KUBECONFIG
delete_cluster() {
    local tries
    for tries in 1 2 3; do
        ! kind delete cluster --quiet --name "$1" --kubeconfig "$2" >&2 || return 0
        thaw "$1"
    done
    die "the cluster $1 cannot be deleted"
}
