#include "device/gpu/kernel_rows.h"

#include <cstring>
#include <iterator>

#include "device/kernels.h"

// Made by CMakeLists.txt with image_of.h.
#define IMAGE(source) \
  extern "C" __attribute__((visibility("hidden"))) const char arrowmind_gpu_image_##source[];
#include "device/gpu/images.inc"
#undef IMAGE

namespace arrowmind::device::gpu {
namespace {

enum Source : int {
#define IMAGE(source) source,
#include "device/gpu/images.inc"
#undef IMAGE
  kSources
};
static_assert(kSources <= kMostImages);

constexpr Image kImages[] = {
#ifdef ARROWMIND_WITHOUT_IMAGES
#define IMAGE(source) {#source, nullptr},
#else
#define IMAGE(source) {#source, arrowmind_gpu_image_##source},
#endif
#include "device/gpu/images.inc"
#undef IMAGE
};

constexpr KernelRow kRows[] = {
#define KERNEL(name, source, places, parameters, group, x, y, z) \
  {#name, source, places, sizeof(parameters), group, {x, y, z}},
#include "device/gpu/kernels.inc"
#undef KERNEL
};

static_assert(std::size(kRows) <= kMostKernels);

}  // namespace

int find_row(const char* name) {
  for (int i = 0; i < static_cast<int>(std::size(kRows)); ++i) {
    if (std::strcmp(kRows[i].name, name) == 0) return i;
  }
  return -1;
}

const KernelRow& row(int number) {
  return kRows[number];
}

const Image& image(int index) {
  return kImages[index];
}

}  // namespace arrowmind::device::gpu
