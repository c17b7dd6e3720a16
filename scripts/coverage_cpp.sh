#!/usr/bin/env bash
# Coverage of the C++ code by the fast tests: builds with gcov, runs them on that build, prints the table of files.
#
#   scripts/coverage_cpp.sh <folder of the environment's programs> <build folder>
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(realpath "$1")
build=$2
mkdir -p "$build"
build=$(realpath "$build")

# A copy of the package with this build's extension, so that the usual one stays as it is.
rm -rf "$build/python"
cp -r python "$build/python"
rm -f "$build"/python/arrowmind/*.so
"$bin/cmake" -S . -B "$build" -G Ninja --log-level=WARNING -DCMAKE_MAKE_PROGRAM="$bin/ninja" \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS="--coverage -fprofile-update=atomic" -DPython_EXECUTABLE="$bin/python" \
  -DCMAKE_LIBRARY_OUTPUT_DIRECTORY="$build/python/arrowmind"
"$bin/ninja" -C "$build" --quiet
find "$build" -name '*.gcda' -delete
PYTHONPATH="$build/python" "$bin/python" -m pytest -q -m "not slow" -p no:cacheprovider
"$bin/gcovr" --root . --filter csrc/ --merge-lines --print-summary --csv "$build/coverage.csv" \
  "$build"/CMakeFiles/arrowmind_core.dir "$build"/CMakeFiles/_native.dir >"$build/summary.txt"
awk -F, 'NR > 1 { printf "%6.1f %%  %s (%d of %d lines)\n", 100 * $4, $1, $3, $2 }' "$build/coverage.csv" | sort -n
cat "$build/summary.txt"
