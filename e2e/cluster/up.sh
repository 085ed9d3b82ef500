#!/bin/bash
# up.sh NAME KUBECONFIG [NODE-IMAGE] brings a kind cluster up and prints, a line each, what a client
# needs: programs=FOLDER, docker=HOST, base=IMAGE to build on, gateway=ADDRESS of this host for pods.
# Without NODE-IMAGE it is kind's public one where images can be pulled, else one that is built here.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$here/delete.sh"
name=$1 kubeconfig=$2 image=${3:-}

public_image() { sed -n 's/^const Image = "\(.*\)"$/\1/p' "$(module_folder "sigs.k8s.io/kind@v$kind_version")/pkg/apis/config/defaults/image.go"; }

docker_up
"$here/tools.sh" >/dev/null
if [ -z "$image" ]; then
    image=$(public_image)
    # One that is there already is not asked for again.
    if docker image inspect "$node_image" >/dev/null 2>&1 || ! timeout 120 docker pull -q "$image" >/dev/null 2>&1; then
        image=$("$here/node-image.sh")
    fi
fi
# A kept cluster is taken only as a whole: a host that was restarted, a checkout that is gone, a node
# left paused, a creation or a deletion that was cut short all leave parts that kind still lists.
wanted=$(printf '%s\n' "$name-control-plane" "$name-worker" "$name-worker2")
nodes() { docker ps --filter "label=io.x-k8s.kind.cluster=$name" --format '{{.Names}}' "$@" | sort; }
# The nodes that the API server knows; asked inside its node, for the kubeconfig may be gone, too. One
# that was just started, or whose machine is busy, gets time to answer.
members() {
    local tries
    for tries in $(seq 10); do
        if timeout 30 docker exec "$name-control-plane" kubectl --kubeconfig /etc/kubernetes/admin.conf \
            --request-timeout=20s get nodes -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}'; then
            return
        fi
        sleep 3
    done | sort
}
gateway() {
    docker network inspect kind | jq -r '.[0].IPAM.Config[]?.Gateway // empty' | grep -F . | head -n 1
}
is_whole() {
    [ "$(nodes --all)" = "$wanted" ] && [ "$(nodes --filter status=running)" = "$wanted" ] &&
        [ "$(members 2>/dev/null)" = "$wanted" ] && [ -n "$(gateway 2>/dev/null)" ]
}
if is_whole; then
    kind export kubeconfig --quiet --name "$name" --kubeconfig "$kubeconfig"
else
    if [ -n "$(nodes --all)" ]; then
        say 'delete a cluster that is not whole'
        delete_cluster "$name" "$kubeconfig"
    fi
    say "kind create cluster ($image)"
    configuration=$(mktemp)
    sed "s#\${HERE}#$here#" "$here/kind.yaml" >"$configuration"
    kind create cluster --quiet --name "$name" --image "$image" --config "$configuration" \
        --kubeconfig "$kubeconfig" --wait 180s >&2
    rm -f "$configuration"
fi
# The node carries the kubectl of its own version.
if [ ! -x "$programs/kubectl" ]; then
    docker cp "$name-control-plane:/usr/bin/kubectl" "$programs/kubectl"
fi
# kind waits for the control plane alone.
kubectl --kubeconfig "$kubeconfig" wait --for=condition=Ready nodes --all --timeout=120s >&2
kubectl --kubeconfig "$kubeconfig" -n kube-system rollout status deployment/coredns --timeout=120s >&2
# What the images of Penstock are built on: the Debian of a node built here, or the public one.
base=debian:$debian-slim
! docker image inspect "$debian_image" >/dev/null 2>&1 || base=$debian_image
printf 'programs=%s\ndocker=%s\nbase=%s\ngateway=%s\n' "$programs" "${DOCKER_HOST:-}" "$base" "$(gateway)"
