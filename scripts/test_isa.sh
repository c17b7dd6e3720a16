#!/usr/bin/env bash
# Runs every row of every kernel table on some processor that has its instructions, whatever this machine has, and compares
# the bits with the scalar row's: here, on emulated AArch64 processors of several generations, and in an emulated Sapphire
# Rapids. Fails when a bit differs between rows or between processors, or when a processor runs or skips another number of
# rows than the tables say.
#
#   scripts/test_isa.sh <folder of cmake and ninja> <build folder of this machine> <folder for all else>
#
# Everything downloaded or built besides is kept in the last folder. `make test-isa` calls this.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(realpath "$1")
native_build=$2
work=$3
mkdir -p "$work"

x86_isas=(scalar avx2 avx512 avx512vnni avx512vbmi avx512bf16 amxbf16 amxint8)
arm_isas=(scalar neon neondot neoni8mm sve)

step() { printf '\n--- %s (%ds)\n' "$*" "$SECONDS"; }
fail() {
  echo "make test-isa: $*" >&2
  exit 1
}

# Rows of an instruction set in all tables; those over a model of AMX are rows of what the rest of them needs.
rows_of() { cat csrc/kernels/*/kernels.inc tests/isa/amx/rows.inc | grep -ciE "^KERNEL\(k$1," || true; }
forms() { cat csrc/kernels/*/kernels.inc | grep -c '^KERNEL(kScalar,'; }

# expectations ARCHITECTURE ISA...: what isa_selftest must have run and skipped on a processor with just these.
expectations() {
  local architecture=$1 isa count run=0 skip=0 isas=() has
  shift
  has=" $* "
  local -n all="${architecture}_isas"
  for isa in "${all[@]}"; do
    count=$(rows_of "$isa")
    if [[ $has == *" $isa "* ]]; then
      run=$((run + count))
      ((count == 0)) || isas+=("$isa")
    else
      skip=$((skip + count))
    fi
  done
  echo --expect-run "$run" --expect-skip "$skip" --expect-isas "$(IFS=,; echo "${isas[*]}")"
}

# What the operating system says this processor has; asked apart from csrc/base/cpu.cc, which is under test.
native_isas() {
  local flags isas=(scalar)
  flags=" $(sed -nE 's/^(flags|Features)\s*: //p' /proc/cpuinfo | head -n 1) "
  has() { local flag; for flag in "$@"; do [[ $flags == *" $flag "* ]] || return 1; done; }
  if [[ $(uname -m) == x86_64 ]]; then
    if has avx2 fma f16c popcnt; then isas+=(avx2); fi
    if has avx2 avx512f avx512bw avx512dq avx512vl; then isas+=(avx512); fi
    if has avx512f avx512_vnni; then isas+=(avx512vnni); fi
    if has avx512_vnni avx512_vbmi || has avx512_vnni avx512vbmi; then isas+=(avx512vbmi); fi
    if has avx512f avx512_bf16; then isas+=(avx512bf16); fi
    if has amx_tile amx_bf16; then isas+=(amxbf16); fi
    if has amx_tile amx_int8; then isas+=(amxint8); fi
  else
    isas+=(neon)
    if has asimddp; then isas+=(neondot); fi
    if has asimddp i8mm; then isas+=(neoni8mm); fi
    if has sve; then isas+=(sve); fi
  fi
  echo "${isas[*]}"
}

outputs=()
# shown NAME STATUS: prints the result of a run kept in $work/NAME.log; all but its passed rows.
shown() {
  outputs+=("$work/$1.log")
  grep -vE '^(ok [a-z0-9]+_|bits )' "$work/$1.log" || true
  (($2 == 0)) || fail "$1 failed; all of it is in $work/$1.log"
}
# run NAME COMMAND...
run() {
  local name=$1 status=0
  shift
  step "$name"
  "$@" >"$work/$name.log" 2>&1 || status=$?
  shown "$name" "$status"
}

build_native() {
  "$bin/cmake" "$native_build" -DARROWMIND_ISA_TEST=ON --log-level=WARNING >/dev/null
  "$bin/ninja" -C "$native_build" --quiet isa_selftest
}
build_aarch64() {
  local build=$work/aarch64
  [[ -f $build/build.ninja ]] || "$bin/cmake" -S . -B "$build" -G Ninja --log-level=WARNING \
    -DCMAKE_MAKE_PROGRAM="$bin/ninja" -DCMAKE_BUILD_TYPE=Release -DARROWMIND_PYTHON=OFF -DARROWMIND_ISA_TEST=ON \
    -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/toolchains/aarch64-linux-gnu.cmake"
  "$bin/ninja" -C "$build" --quiet isa_selftest
}

# A processor whose rows all pass must still be refused when it skipped too much or one bit of one row is wrong.
check_that_it_can_fail() {
  step "the self-test can fail"
  local row
  if "$native" --expect-skip 9999 >"$work/can_fail.log"; then fail "a wrong number of skipped rows was not noticed"; fi
  row=$(sed -nE 's/^ok (qmatmul_\S+) .*/\1/p' "$work/can_fail.log" | tail -n 1)
  if "$native" --damage "$row" >"$work/can_fail.log"; then fail "a wrong bit of $row was not noticed"; fi
  grep "^FAIL $row" "$work/can_fail.log" | head -n 1
}

# The scalar rows wrote the same on every processor, and so did all others.
compare_processors() {
  local first=${outputs[0]} output
  step "bits of all processors"
  [[ $(grep -c '^bits ' "$first") == $(forms) ]] || fail "$first does not have the bits of every scalar row"
  for output in "${outputs[@]}"; do
    diff <(grep '^bits ' "$first") <(grep '^bits ' "$output") >&2 || fail "$output has other bits than $first"
  done
  echo "the same for $(forms) forms on ${#outputs[@]} processors"
}

machine=$(uname -m)
scripts/isa/prepare.sh "$work"

step "building for this machine"
build_native
native=$native_build/tests/isa/isa_selftest
architecture=arm
emulator=
if [[ $machine == x86_64 ]]; then
  architecture=x86
  # In the background, on a processor of its own, while the rest is built.
  step "booting an emulated Sapphire Rapids"
  isas=(scalar avx2 avx512 avx512vnni avx512vbmi avx512bf16)
  # Without the module that shows them, tiles are hidden in that machine (setup_emulator.sh says so).
  if [[ -f $work/emulator/tiles.ko ]]; then isas+=(amxbf16 amxint8); fi
  read -ra expected <<<"$(expectations x86 "${isas[@]}")"
  # Its products of signed bytes are all wrong: codes without signs show that everything else is right.
  expected+=(--natural-tiles 1)
  set -m  # in a process group of its own, so that nothing of it outlives this script
  scripts/isa/run_emulated.sh "$work/emulator" "$native" "${expected[@]}" >"$work/sapphire-rapids.log" 2>&1 &
  emulator=$!
  set +m
  trap 'kill -- "-$emulator" 2>/dev/null || true' EXIT
fi

read -ra isas <<<"$(native_isas)"
read -ra expected <<<"$(expectations "$architecture" "${isas[@]}")"
run "this-machine" "$native" "${expected[@]}"
check_that_it_can_fail

step "building for AArch64"
build_aarch64
# aarch64 NAME MODEL ISA...
aarch64() {
  local name=$1 model=$2
  shift 2
  read -ra expected <<<"$(expectations arm "$@")"
  run "$name" qemu-aarch64-static -cpu "$model" "$work/aarch64/tests/isa/isa_selftest" "${expected[@]}"
}
aarch64 armv9-without-sve max,sve=off scalar neon neondot neoni8mm
aarch64 neoverse-n1 neoverse-n1 scalar neon neondot
aarch64 cortex-a72 cortex-a72 scalar neon
aarch64 cortex-a57 cortex-a57 scalar neon

if [[ -n $emulator ]]; then
  step "waiting for the emulated Sapphire Rapids"
  status=0
  wait "$emulator" || status=$?
  shown sapphire-rapids "$status"
else
  step "SKIPPED: AVX2 and AVX-512 rows; their emulator runs on x86-64 only"
fi
compare_processors
step "done"
