#!/bin/bash
# Builds the client programs from their Go modules: kind and helm. kubectl comes with the node image.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ $# -gt 0 ] || set -- kind helm
for tool in "$@"; do
    case $tool in
    kind) go_program kind "sigs.k8s.io/kind@v$kind_version" sigs.k8s.io/kind ;;
    helm) go_program helm "helm.sh/helm/v4@v$helm_version" helm.sh/helm/v4/cmd/helm ;;
    *) die "no recipe for $tool; there are kind and helm" ;;
    esac
done
printf '%s\n' "$programs"
