#!/usr/bin/env bash
# Makes .venv with what the build needs, from nothing but a Python >= 3.10 and a C++20 compiler.
# What a Debian machine lacks of these is installed when the caller is root, and named when not.
#
#   scripts/bootstrap.sh [python]
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# Prints the first of the given interpreters that is Python >= 3.10.
find_python() {
  local candidate
  for candidate in "$@"; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

have_compiler() {
  local compiler=${CXX:-c++}
  command -v "$compiler" >/dev/null && "$compiler" -std=c++20 -x c++ -fsyntax-only - 2>/dev/null <<<'#include <span>
#include <bit>
int main() { return std::popcount(0u); }'
}

have_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

have_headers() {
  "$1" -c 'import pathlib, sys, sysconfig
sys.exit(not (pathlib.Path(sysconfig.get_paths()["include"]) / "Python.h").is_file())'
}

# Prints the Debian packages that are missing for the given interpreter (which may be empty).
missing_packages() {
  local python=$1 version
  if [[ -z $python ]]; then
    echo "python3 python3-venv python3-dev"
  else
    version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    have_venv "$python" || echo "$version-venv"
    have_headers "$python" || echo "$version-dev"
  fi
  have_compiler || echo "g++"
}

install_or_explain() {
  local packages=$1
  if command -v apt-get >/dev/null && [[ $(id -u) == 0 ]]; then
    say "installing: $packages"
    apt-get update -qq || say "warning: apt-get update failed; trying with the package lists there are"
    # shellcheck disable=SC2086 # a list of names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2 ||
      fail "could not install: $packages"
  else
    fail "missing on this machine: $packages
On Debian or Ubuntu: sudo apt-get install $packages
Another interpreter or compiler can be named: make PYTHON=/path/to/python3 CXX=/path/to/g++"
  fi
}

main() {
  local -a candidates=(python3 python3.13 python3.12 python3.11 python3.10)
  [[ $# -gt 0 && -n $1 ]] && candidates=("$1")
  local python packages
  python=$(find_python "${candidates[@]}" || true)
  if [[ -z $python && $# -gt 0 && -n $1 && $1 != python3 ]]; then
    fail "$1 is not a Python >= 3.10"
  fi
  packages=$(missing_packages "$python" | xargs)
  [[ -z $packages ]] || install_or_explain "$packages"
  python=$(find_python "${candidates[@]}") || fail "no Python >= 3.10 found: name one with make PYTHON=/path/to/python3"
  have_compiler || fail "no C++20 compiler: g++ >= 12 or clang >= 15 is needed (make CXX=/path/to/g++)"
  say "using $("$python" --version) and $("${CXX:-c++}" --version | head -n 1)"
  rm -rf .venv
  "$python" -m venv .venv
}

main "$@"
