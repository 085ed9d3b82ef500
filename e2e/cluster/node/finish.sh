#!/bin/bash
# Runs inside the node's root filesystem: what kind's base Dockerfile does there.
set -euo pipefail
cd /
rm -f lib/systemd/system/multi-user.target.wants/* etc/systemd/system/*.wants/* \
    lib/systemd/system/local-fs.target.wants/* lib/systemd/system/sockets.target.wants/*udev* \
    lib/systemd/system/sockets.target.wants/*initctl* lib/systemd/system/basic.target.wants/* \
    lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service
echo ReadKMsg=no >>etc/systemd/journald.conf
ln -sfn /usr/lib/systemd/systemd sbin/init
systemctl enable kubelet.service containerd.service undo-mount-hacks.service
systemctl mask systemd-binfmt.service
# Every node makes its own.
rm -f etc/machine-id var/lib/dbus/machine-id
# kind's units and configuration name these places.
ln -sf /usr/bin/{containerd,ctr,containerd-shim-runc-v2} usr/local/bin/
ln -sf /usr/sbin/runc usr/local/sbin/runc
mkdir -p opt/cni etc/cni/net.d etc/kubernetes/manifests
ln -sfn /usr/lib/cni opt/cni/bin
# Containers of a host without CAP_SYS_RESOURCE may not lower their oom_score_adj; nor may they
# set limits above their own. On cgroup v1 the kubelet starts only when it is told so.
sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' etc/containerd/config.toml
ctr oci spec | jq 'del(.process.rlimits)
    | .hooks.createContainer += [{path: "/kind/bin/mount-product-files.sh"}]' >etc/containerd/cri-base.json
echo 'KUBELET_EXTRA_ARGS=--runtime-cgroups=/system.slice/containerd.service --fail-cgroupv1=false --feature-gates=KubeletInUserNamespace=true' \
    >etc/default/kubelet
