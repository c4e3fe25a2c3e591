#!/bin/sh
# base_image.sh FILE: a tarball that stands for the image `debian:bookworm-slim`, where no registry is at hand.
# It is made from the machine's own Debian sources, with its settings of apt; its authorities are a file in /etc.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# shellcheck disable=SC2016  # the words in braces are apt's
apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Identifier: Packages' 'Origin: Debian' >"$folder/sources"
[ -s "$folder/sources" ] || { echo "base_image: apt knows no package of Debian; run apt-get update" >&2; exit 1; }
apt-config dump Acquire >"$folder/settings"

mmdebstrap --quiet --variant=apt --mode=root --aptopt="$folder/settings" \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --customize-hook='copy-in /etc/ssl/certs/ca-certificates.crt /etc' \
    bookworm "$folder/base.tar" "$folder/sources"
cp "$folder/base.tar" "$1.new"
mv "$1.new" "$1"
