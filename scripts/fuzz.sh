#!/usr/bin/env bash
# Builds every fuzz target with clang and runs each for a while, from seeds that tests/fuzz/make_corpus.py writes
# and from past findings, which are kept in tests/fuzz/seeds/<target>/.
#
#   scripts/fuzz.sh <folder of cmake and ninja> <build folder> [seconds per target]
#   scripts/fuzz.sh --can-build      whether there is a clang++ with its sanitizers
set -euo pipefail
cd "$(dirname "$0")/.."

can_build() {
  local target='extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }'
  if ! command -v clang++ >/dev/null; then
    echo "fuzzing needs clang++ (Debian: apt-get install clang)" >&2
    return 1
  fi
  if ! clang++ -x c++ -fsanitize=fuzzer,address,undefined - -o /dev/null 2>/dev/null <<<"$target"; then
    echo "fuzzing needs the sanitizers of clang++ (Debian: apt-get install --install-recommends clang)" >&2
    return 1
  fi
}

if [[ ${1:-} == --can-build ]]; then
  can_build
  exit
fi

bin=$(realpath "$1")
build=$2
seconds=${3:-60}

can_build
CXX=clang++ CC=clang "$bin/cmake" -S . -B "$build" -G Ninja --log-level=WARNING -DCMAKE_MAKE_PROGRAM="$bin/ninja" \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo -DARROWMIND_PYTHON=OFF -DARROWMIND_FUZZ=ON
"$bin/ninja" -C "$build" --quiet fuzz

PYTHONPATH=python${PYTHONPATH:+:$PYTHONPATH} "$bin/python" -m tests.fuzz.make_corpus "$build/corpus"

# Readers in Python go through libFuzzer as a library.
python_targets="fuzz_parquet"
driver=$build/tests/fuzz/libpython_driver.so
targets=$(find "$build/tests/fuzz" -maxdepth 1 -type f -name 'fuzz_*' -perm -u+x | sort)
[[ -n $targets ]] || { echo "no fuzz targets were built in $build/tests/fuzz" >&2; exit 1; }
[[ -f $driver ]] || { echo "$driver was not built: clang++ has no libclang_rt.fuzzer_no_main" >&2; exit 1; }
for target in $targets $python_targets; do
  name=$(basename "$target")
  program=("$target")
  [[ $target == "$name" ]] && program=("$bin/python" -m "tests.fuzz.$name" "$driver")
  found="$build/corpus/$name"
  mkdir -p "$found"
  seeds=()
  [[ -d tests/fuzz/seeds/$name ]] && seeds=("tests/fuzz/seeds/$name")
  echo "fuzzing $name for ${seconds}s"
  log="$build/$name.log"
  status=0
  PYTHONPATH=python${PYTHONPATH:+:$PYTHONPATH} "${program[@]}" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=30 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix="$build/" "$found" "${seeds[@]}" >"$log" 2>&1 || status=$?
  grep -aE 'stat::number_of_executed_units|ERROR|SUMMARY|Test unit' "$log" || true
  [[ $status == 0 ]] || { echo "$name found a fault: the input is in $build/, the report in $log" >&2; exit 1; }
done
