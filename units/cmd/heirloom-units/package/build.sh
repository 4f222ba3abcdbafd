#!/bin/sh
# Makes heirloom-units as .deb and .rpm.
#
#     build.sh VERSION OUT NFPM
#
# OUT is a directory, NFPM the path of nfpm. GOARCH is the packages' architecture.
set -eu
version=$1 nfpm=$3
mkdir -p "$2"
out=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../../../.."
flags="-s -w -X main.version=$version"
files=$out/files
rm -rf "$files"
mkdir -p "$files"

CGO_ENABLED=0 GOOS=linux go build -buildvcs=false -trimpath -ldflags "$flags" -o "$files/heirloom-units" ./units/cmd/heirloom-units
# For another architecture than this machine's the program itself cannot be run.
units() { env -u GOARCH -u GOOS go run -buildvcs=false -ldflags "$flags" ./units/cmd/heirloom-units "$@"; }
units man -out "$files/man" >/dev/null
units completion bash >"$files/completion.bash"
units completion zsh >"$files/completion.zsh"
units completion fish >"$files/completion.fish"

cp LICENSE "$here/copyright" "$here/lintian-overrides" "$files"
cp CHANGELOG.md "$files/changelog"
# A tag has the time of its commit, so that a second build is the same.
time=${SOURCE_DATE_EPOCH:-$(git -c safe.directory='*' log -1 --format=%ct 2>/dev/null || date +%s)}
cat >"$files/changelog.Debian" <<END
heirloom-units ($version-1) unstable; urgency=medium

  * What is new says /usr/share/doc/heirloom-units/changelog.gz.

 -- The heirloom authors <heirloom@example.org>  $(LC_ALL=C date -u -R -d "@$time")
END
gzip -9n "$files"/man/man*/* "$files/changelog" "$files/changelog.Debian"

cd "$out"
export VERSION="$version" SOURCE_DATE_EPOCH="$time"
GOARCH=${GOARCH:-$(go env GOARCH)}
export GOARCH
# Debian's packages have no field for the licence.
grep -v '^license:' "$here/nfpm.yaml" >"$files/deb.yaml"
cp "$here/nfpm.yaml" "$files/rpm.yaml"
for format in deb rpm; do
	"$nfpm" package -f "$files/$format.yaml" -p $format -t .
done
