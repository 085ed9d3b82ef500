#!/bin/sh
# collect.sh ROOT FILE... copies files with everything they need to run into a folder that becomes
# the root of a scratch image: shared libraries, the loader, certificates, two users, /tmp.
set -eu
root=$1
shift
mkdir -p "$root/etc/ssl/certs"
install -d -m 1777 "$root/tmp"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
fi
# Links stay links (a program's many names); what they point to must be given, too.
for file in "$@"; do
    mkdir -p "$root$(dirname "$file")"
    cp -P "$file" "$root$file"
    if ldd "$file" 2>&1 | grep 'not found' >&2; then
        echo "error: $file was linked against other libraries than this image has" >&2
        exit 1
    fi
    # Of a static program ldd says so and fails.
    { ldd "$file" 2>/dev/null || true; } | grep -o '/[^ ]*\.so[^ :)]*' | while read -r library; do
        [ ! -e "$root$library" ] || continue
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
done
