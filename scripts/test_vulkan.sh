#!/usr/bin/env bash
# Runs the tests of the Vulkan back end under the validation layer, which must have nothing to say.
#   scripts/test_vulkan.sh BIN [arguments of pytest]     BIN: the environment's programs
#   scripts/test_vulkan.sh --packages                    whether what building and running needs is here; says what is not
#   scripts/test_vulkan.sh --can-run                     the same, and whether the back end was built
set -euo pipefail
cd "$(dirname "$0")/.."

layer=VK_LAYER_KHRONOS_validation

missing() { echo "missing for Vulkan: $1 (Debian: apt install $2)"; found=1; }

packages() {
  local found=0
  command -v glslangValidator >/dev/null || command -v glslang >/dev/null || missing "the compiler of shaders" glslang-tools
  [[ -e /usr/include/vulkan/vulkan_core.h ]] || missing "its headers" libvulkan-dev
  compgen -G '/usr/share/vulkan/icd.d/*.json' >/dev/null || compgen -G '/etc/vulkan/icd.d/*.json' >/dev/null ||
    missing "a driver" mesa-vulkan-drivers
  compgen -G '/usr/share/vulkan/explicit_layer.d/*hronos_validation*.json' >/dev/null ||
    compgen -G '/etc/vulkan/explicit_layer.d/*hronos_validation*.json' >/dev/null ||
    missing "the validation layer" vulkan-validationlayers
  return "$found"
}

can_run() {
  packages || return 1
  [[ -e python/arrowmind/arrowmind_device_vulkan.so ]] || {
    echo "the Vulkan back end was not built: rm -r build, make build"
    return 1
  }
}

case ${1:-} in
  --packages) packages && exit || exit 1 ;;
  --can-run) can_run && exit || exit 1 ;;
esac

can_run
bin=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"
VK_INSTANCE_LAYERS=$layer VK_LAYER_ENABLES=VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT \
  "$bin/python" -m pytest --numprocesses 0 --capture=no -m "not slow" tests/device -k vulkan "$@" 2>&1 | tee "$log"
if grep -E 'VUID-|SYNC-HAZARD|Validation (Error|Warning)|UNASSIGNED-' "$log" | cut -c1-300 | sort | uniq -c | head -20 | grep .; then
  echo "the validation layer objects, see above"
  exit 1
fi
