#!/usr/bin/env bash
# Unpacks an x86-64 emulator that runs AVX-512 rightly, and a small Linux to boot in it, into one folder. Installs nothing
# on the machine and needs no root: bochs 3.0 comes from Debian 13 with all its libraries and runs through its own loader.
# (2.7 of Debian 12 leaves AVX-512 off, 3.1 does not boot.)
#
# A module for that Linux, built here from Debian's headers, shows AMX to the program (tiles/tiles.c).
#
#   scripts/isa/setup_emulator.sh <folder>      about 75 MB of downloads, kept; done once
set -euo pipefail

root=$(realpath -m "$1")
[[ -f $root/done-with-tiles ]] && exit 0
sources=$(realpath "$(dirname "$0")/tiles")
for tool in apt-get dpkg-deb; do
  command -v "$tool" >/dev/null || { echo "setting up the emulator needs $tool (Debian or Ubuntu)" >&2; exit 1; }
done
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -f $keys ]] || { echo "setting up the emulator needs Debian's keys: apt-get install debian-archive-keyring" >&2; exit 1; }

# The mirror this machine already uses, if it is one of Debian.
mirror=$(grep -rhoE '^[^#]*https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null |
  grep -oE 'https?://[^ ]+' | head -n 1 || true)
mirror=${mirror:-http://deb.debian.org/debian}

apt_root=$root/apt
tree=$root/tree
mkdir -p "$apt_root"/{lists/partial,archives/partial} "$tree"
: >"$apt_root/status"
printf 'deb [arch=amd64 signed-by=%s] %s %s main\n' "$keys" "$mirror" trixie "$keys" "$mirror" bookworm >"$apt_root/sources.list"
options=(
  -o "Dir::State=$apt_root" -o "Dir::State::status=$apt_root/status" -o "Dir::State::lists=$apt_root/lists"
  -o "Dir::Cache=$apt_root" -o "Dir::Cache::archives=$apt_root/archives" -o "Dir::Etc::sourceparts=/dev/null"
  -o "Dir::Etc::sourcelist=$apt_root/sources.list" -o "Dir::Etc::preferencesparts=-" -o "Dir::Etc::main=-"
  -o "APT::Architecture=amd64" -o "APT::Architectures=amd64" -o "APT::Sandbox::User=" -o "APT::Install-Recommends=false"
  -o "Acquire::Languages=none" -o "Acquire::Retries=3"
  -o "APT::Keep-Downloaded-Packages=true" -o "Binary::apt-get::APT::Keep-Downloaded-Packages=true"
)

echo "fetching the emulator and its libraries into $root"
apt-get "${options[@]}" -qq update || { echo "the package lists of $mirror cannot be had" >&2; exit 1; }
apt-get "${options[@]}" -qq --download-only --yes install \
  bochs bochs-term bochsbios vgabios busybox-static isolinux syslinux-common xorriso
# The kernel of Debian 12: its start is known to pass in the emulator.
kernel=$(apt-cache "${options[@]}" depends linux-image-cloud-amd64/bookworm | grep -oE 'linux-image-6\.1[^ ]*' | head -n 1)
release=${kernel#linux-image-}
headers=(linux-headers-"$release" linux-headers-"${release%-cloud-amd64}-common" linux-kbuild-6.1)
(cd "$apt_root/archives" && apt-get "${options[@]}" -qq download "$kernel" "${headers[@]/%//bookworm}")

for package in "$apt_root"/archives/*.deb; do
  case $(basename "$package") in
    linux-image-*) dpkg-deb --fsys-tarfile "$package" | tar -x -C "$tree" --wildcards './boot/vmlinuz-*' ;;
    *) dpkg-deb --extract "$package" "$tree" ;;
  esac
done
ln -sf "$(basename "$tree"/boot/vmlinuz-*)" "$tree/boot/vmlinuz"
rm -rf "$apt_root/lists"

# Debian's own build files name /usr/src; here they lie elsewhere.
build_tiles() {
  local build=$tree/usr/src/linux-headers-$release
  sed -i "s#^include .*/usr/src#include $tree/usr/src#" "$build/Makefile"
  rm -rf "$root/tiles" && cp -r "$sources" "$root/tiles"
  env -u MAKEFLAGS make -C "$build" M="$root/tiles" modules >"$root/tiles.log" 2>&1 && mv "$root/tiles/tiles.ko" "$root/tiles.ko"
}
build_tiles || echo "the module that shows AMX could not be built ($root/tiles.log says why): rows of AMX are skipped there"
touch "$root/done-with-tiles"
