#!/bin/sh
# Attest the files of a release with one signature, and check it as a user would.
#
#   release.sh KEY DIST    KEY.key and KEY.pub are made by "hallmark keygen";
#                          its passphrase is in COSIGN_PASSWORD
#
# DIST/provenance.json says how the files were built. HALLMARK names the command.
set -eu
key=$1 dist=$2
hallmark=${HALLMARK:-hallmark}

cd "$dist"
sha256sum -- *.tar.gz > checksums.txt

# One statement about all of them. The bundle is written whole or not at all.
"$hallmark" attest --type provenance --predicate provenance.json \
	--key "$key.key" --checksums checksums.txt --out release.sigstore.json

# Exit status 0 is the only yes: 1 is a denial, 2 means "could not decide".
"$hallmark" verify --key "$key.pub" --bundle release.sigstore.json -- *.tar.gz
