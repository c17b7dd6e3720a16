#include "device/vulkan/shaders.h"

#include "device/kernels.h"
#include "vulkan_codes.inc"  // made by CMakeLists.txt: code_<name> of every row

namespace arrowmind::vulkan {
namespace {

using namespace device;

#define SHADER(name, source, definitions, places, parameters, threads, x, y, z) \
  {#name, code_##name, sizeof code_##name, places, sizeof(parameters), threads, {x, y, z}},
constexpr Shader kShaders[] = {
#include "device/vulkan/kernels.inc"
};
#undef SHADER

constexpr bool all_fit() {
  for (const Shader& shader : kShaders) {
    if (shader.places > kMostPlaces || shader.parameter_bytes > 128) return false;
  }
  return true;
}
static_assert(all_fit());

}  // namespace

std::span<const Shader> shaders() {
  return kShaders;
}

}  // namespace arrowmind::vulkan
