#!/usr/bin/env bash
# What `make test-isa` needs besides the build: a cross-compiler and an emulator for AArch64, and an emulated machine with
# AVX-512. Debian packages are installed when the caller is root, and named when not; the rest goes into the folder.
#
#   scripts/isa/prepare.sh <folder>
set -euo pipefail

work=$1
fail() {
  echo "make test-isa: $*" >&2
  exit 1
}
[[ $(uname -s) == Linux && $(uname -m) =~ ^(x86_64|aarch64)$ ]] || fail "needs Linux on x86-64 or AArch64"

missing=()
command -v aarch64-linux-gnu-g++ >/dev/null || missing+=(g++-aarch64-linux-gnu)
command -v qemu-aarch64-static >/dev/null || missing+=(qemu-user-static)
[[ -f /usr/share/keyrings/debian-archive-keyring.gpg ]] || missing+=(debian-archive-keyring)
if ((${#missing[@]} > 0)); then
  command -v apt-get >/dev/null && [[ $(id -u) == 0 ]] || fail "install what is missing: sudo apt-get install ${missing[*]}"
  echo "installing ${missing[*]}"
  if ! { apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
    apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null; }; then
    fail "apt-get could not install ${missing[*]}"
  fi
fi
# bochs is taken from Debian for x86-64.
if [[ $(uname -m) == x86_64 ]]; then "$(dirname "$0")/setup_emulator.sh" "$work/emulator"; fi
