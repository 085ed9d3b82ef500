#!/bin/bash
# Builds a kind node image without pulling any image: Kubernetes, etcd and CoreDNS from their Go
# modules, the root filesystem with containerd, runc and the CNI plugins from Debian.
# Every step is skipped where its result is there. Needs root, Go and a C compiler.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

components=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl kubeadm)
# kind's own list of packages, less the two network file systems.
node_packages=systemd,dbus,conntrack,iptables,nftables,iproute2,ethtool,socat,mount,kmod,libseccomp2,pigz,fuse-overlayfs,e2fsprogs,ca-certificates,curl,jq,procps,containerd,runc,containernetworking-plugins

# k8s.io/kubernetes builds outside its repository once the modules of its staging folder are named
# by their published versions.
kubernetes() {
    [ "$(cat "$programs/.kubernetes" 2>/dev/null)" != "$kubernetes_version" ] || return 0
    command -v go >/dev/null || die 'Go is needed to build Kubernetes'
    say "go build Kubernetes $kubernetes_version (minutes, the first time)"
    local module=k8s.io/kubernetes@v$kubernetes_version staging=v0.${kubernetes_version#1.} source work
    local version=k8s.io/component-base/version
    source=$(module_folder "$module")
    work=$(mktemp -d)
    sed -e 's#^module .*#module local/kubernetes#' \
        -e "s#=> \./staging/src/\(k8s\.io/[a-z0-9-]*\)#=> \1 $staging#" \
        -e "s#^\(\s*k8s\.io/[a-z0-9-]*\) v0\.0\.0\$#\1 $staging#" "$source/go.mod" >"$work/go.mod"
    echo "require k8s.io/kubernetes v$kubernetes_version" >>"$work/go.mod"
    install -m 0644 "$source/go.sum" "$work/go.sum"
    (
        cd "$work"
        go build -mod=mod -trimpath -o "$programs/" -ldflags "-s -w \
            -X $version.gitVersion=v$kubernetes_version -X $version.gitMajor=1 \
            -X $version.gitMinor=$(cut -d. -f2 <<<"$kubernetes_version") \
            -X $version.gitTreeState=clean -X $version.buildDate=1970-01-01T00:00:00Z" \
            "${components[@]/#/k8s.io/kubernetes/cmd/}"
    ) >"$cache/kubernetes.log" 2>&1 || die "go build failed, see $cache/kubernetes.log"
    rm -rf "$work"
    echo "$kubernetes_version" >"$programs/.kubernetes"
}

# The references of the control plane's images, as kubeadm asks for them.
references() { "$programs/kubeadm" config images list --kubernetes-version "v$kubernetes_version" 2>/dev/null; }

tag_of() { references | sed -n "s#.*/$1:v\{0,1\}##p"; }

companions() {
    local etcd coredns
    etcd=$(tag_of etcd | sed 's/-.*//')
    coredns=$(tag_of coredns)
    go_program etcd "go.etcd.io/etcd/server/v3@v$etcd" go.etcd.io/etcd/server/v3
    go_program coredns "github.com/coredns/coredns@v$coredns" github.com/coredns/coredns
    go_program_here kindnet "$here/node/kindnet"
    [ -x "$programs/pause" ] || cc -Os -static -s -o "$programs/pause" "$here/node/pause.c"
}

go_program_here() {
    say "go build $1"
    (cd "$2" && go build -trimpath -ldflags '-s -w' -o "$programs/$1" .)
}

# The node's Debian as an image. The Dockerfiles of images/ build on it, too.
debian_base() {
    ! docker image inspect "$debian_image" >/dev/null 2>&1 || return 0
    local tree=$cache/rootfs archive=$cache/rootfs-$debian.tar mirror
    if [ ! -s "$archive" ]; then
        say "debootstrap $debian"
        rm -rf "$tree"
        # The mirror that this host's own apt uses.
        mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
            awk -v suite=$debian '$1 == suite {print $2; exit}')
        # shellcheck disable=SC2086
        debootstrap --variant=minbase --include=$node_packages $debian "$tree" $mirror \
            >"$cache/debootstrap.log" 2>&1 || die "debootstrap failed, see $cache/debootstrap.log"
        (cd "$tree" && rm -rf var/cache/apt/* var/lib/apt/lists/* var/log/* usr/share/doc/* \
            usr/share/man/* usr/share/locale/* tmp/* etc/machine-id etc/resolv.conf etc/hostname)
        tar -C "$tree" --numeric-owner --one-file-system -cf "$archive.part" .
        mv "$archive.part" "$archive"
        rm -rf "$tree"
    fi
    say "docker import $debian_image"
    docker import "$archive" "$debian_image" >/dev/null
}

# image REFERENCE PROGRAM PLACE [FILE-OF-DEBIAN...] builds a scratch image around a program.
image() {
    local reference=$1 program=$2 place=$3 folder
    shift 3
    folder=$(mktemp -d)
    install -m 0755 "$programs/$program" "$folder/program"
    cp "$here/../../images/collect.sh" "$folder/"
    cat >"$folder/Dockerfile" <<-END
		FROM $debian_image AS files
		LABEL penstock.part=1
		COPY collect.sh /
		COPY program $place
		RUN sh /collect.sh /image $place $*
		FROM scratch
		COPY --from=files /image /
		ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
		ENTRYPOINT ["$place"]
	END
    DOCKER_BUILDKIT=0 docker build -q -t "$reference" "$folder" >/dev/null
    rm -rf "$folder"
}

# iptables is many names of two programs; its extensions are libraries that nothing links.
proxy_files() {
    echo '/usr/sbin/nft /usr/sbin/conntrack /usr/sbin/ip /usr/bin/ip /usr/sbin/xtables-*-multi' \
        '/usr/sbin/iptables* /usr/sbin/ip6tables* /etc/alternatives/ip*tables*' \
        '/usr/lib/*/xtables/*.so'
}

control_plane_images() {
    local reference name
    while read -r reference; do
        name=${reference##*/}
        name=${name%%:*}
        say "image $reference"
        case $name in
        pause) image "$reference" pause /pause ;;
        coredns) image "$reference" coredns /coredns ;;
        kube-proxy) image "$reference" kube-proxy /usr/local/bin/kube-proxy "$(proxy_files)" ;;
        *) image "$reference" "$name" "/usr/local/bin/$name" ;;
        esac
    done < <(references)
    image penstock.local/kindnet:1 kindnet /kindnet "$(proxy_files)"
}

# Debian with kind's files, ours, and the kubelet.
node_base() {
    local folder kind_files
    kind_files=$(module_folder "sigs.k8s.io/kind@v$kind_version")/images/base/files
    folder=$(mktemp -d)
    cp -r --no-preserve=mode,ownership "$kind_files" "$folder/files"
    chmod 0755 "$folder/files/usr/local/bin/"* "$folder/files/kind/bin/"*
    install -m 0755 "$here/node/crictl" "$folder/files/usr/local/bin/crictl"
    mkdir -p "$folder/files/kind/manifests" "$folder/files/usr/bin"
    cp "$here/node/manifests/"* "$folder/files/kind/manifests/"
    install -m 0755 "$programs/"{kubelet,kubeadm,kubectl} "$folder/files/usr/bin/"
    printf 'v%s' "$kubernetes_version" >"$folder/files/kind/version"
    cp "$here/node/finish.sh" "$folder/"
    cat >"$folder/Dockerfile" <<-END
		FROM $debian_image
		COPY files/ /
		COPY finish.sh /
		RUN bash /finish.sh && rm /finish.sh
	END
    DOCKER_BUILDKIT=0 docker build -q -t "$node_image-base" "$folder" >/dev/null
    rm -rf "$folder"
}

# The node's own containerd takes the images in; the result is committed as the node image.
node_with_images() {
    local container wanted_pause
    wanted_pause=$(docker run --rm "$node_image-base" \
        sed -n 's/.*sandbox_image = "\(.*\)".*/\1/p' /etc/containerd/config.toml)
    container=$(docker run -d --entrypoint sleep --stop-signal SIGRTMIN+3 \
        --security-opt seccomp=unconfined \
        "$node_image-base" infinity)
    # shellcheck disable=SC2064
    trap "docker rm -f -v $container >/dev/null 2>&1 || true" EXIT
    # shellcheck disable=SC2046
    docker save $(references) penstock.local/kindnet:1 | docker exec -i "$container" bash -c "
        set -euo pipefail
        containerd >/var/log/containerd.log 2>&1 &
        until ctr version >/dev/null 2>&1; do kill -0 \$!; sleep 0.1; done
        ctr -n k8s.io images import --all-platforms --no-unpack --digests - >/dev/null
        pause=\$(ctr -n k8s.io images ls -q | grep '/pause:')
        [ \"\$pause\" = '$wanted_pause' ] || ctr -n k8s.io images tag \"\$pause\" '$wanted_pause' >/dev/null
        kill \$!; wait \$! || true
        rm -f /var/log/containerd.log"
    docker commit --change 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]' \
        --change 'ENV container=docker' \
        --change "LABEL penstock.recipe=$1" "$container" "$node_image" >/dev/null
    docker rm -f -v "$container" >/dev/null
}

# What the image is made of, so that a changed recipe is built anew.
recipe() {
    cat "$here"/{lib.sh,node-image.sh} "$here/../../images/collect.sh" "$here"/node/{crictl,finish.sh,pause.c} \
        "$here"/node/manifests/* "$here"/node/kindnet/* | sha256sum | cut -c1-16
}

docker_up
packages debootstrap:debootstrap jq:jq cc:build-essential
if [ "$(docker image inspect -f '{{index .Config.Labels "penstock.recipe"}}' "$node_image" 2>/dev/null)" != "$(recipe)" ]; then
    [ "$(id -u)" -eq 0 ] || die 'building a node image needs root'
    kubernetes
    companions
    debian_base
    control_plane_images
    say "image $node_image"
    node_base
    node_with_images "$(recipe)"
    docker image prune -f --filter label=penstock.part=1 >/dev/null
fi
printf '%s\n' "$node_image"
