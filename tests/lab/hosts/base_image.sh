#!/bin/sh
# base_image.sh FILE [RELEASE]: a bare Debian of a release [bookworm] as a tarball, where no image registry is at hand.
# It is made from the machine's own Debian sources, with its settings of apt; its authorities are a file in /etc.
set -eu
release=${2:-bookworm}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
. /etc/os-release    # the machine's own release, whose sources apt knows
# shellcheck disable=SC2016  # the words in braces are apt's
apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' 'Origin: Debian' |
    sed "s/ ${VERSION_CODENAME:?}/ $release/" >"$folder/sources"
[ -s "$folder/sources" ] || { echo "base_image: apt knows no package of Debian; run apt-get update" >&2; exit 1; }
apt-config dump Acquire >"$folder/settings"

mmdebstrap --quiet --variant=apt --mode=root --aptopt="$folder/settings" \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --customize-hook='copy-in /etc/ssl/certs/ca-certificates.crt /etc' \
    "$release" "$folder/base.tar" "$folder/sources"
cp "$folder/base.tar" "$1.new"
mv "$1.new" "$1"
