#!/bin/bash
# down.sh NAME KUBECONFIG deletes the cluster and ends the Docker daemon if it was started here.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$here/delete.sh"
[ -n "${DOCKER_HOST:-}" ] || [ ! -S "$docker_socket" ] || export DOCKER_HOST=unix://$docker_socket
if docker info >/dev/null 2>&1; then
    delete_cluster "$1" "$2"
fi
docker_down
