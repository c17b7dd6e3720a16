#include "device/metal/kernel_rows.h"

#include "device/kernels.h"

namespace arrowmind::metal {
namespace {

#include "sources.inc"  // made by kernels.cmake: text_of_<name> of every row

using namespace device;

#define SHADER(name, source, definitions, places, parameters, threads, x, y, z) \
  {#name, text_of_##name, places, sizeof(parameters), threads, {x, y, z}},
constexpr KernelRow kRows[] = {
#include "device/vulkan/kernels.inc"
};
#undef SHADER

}  // namespace

std::span<const KernelRow> kernel_rows() {
  return kRows;
}

}  // namespace arrowmind::metal
