#include "device/cpu_kernels.h"

#include <cstring>
#include <span>

#include "device/cpu_operators.h"

namespace arrowmind::device {
namespace {

void fill_u32(void* const* places, const void* parameters) {
  const auto p = read_parameters<FillParameters>(parameters);
  auto* out = at<uint32_t>(places, 0);
  for (uint32_t i = 0; i < p.count; ++i) out[i] = p.value;
}

void add_f32(void* const* places, const void* parameters) {
  const auto p = read_parameters<AddParameters>(parameters);
  const auto* a = at<const float>(places, 0);
  const auto* b = at<const float>(places, 1);
  auto* out = at<float>(places, 2);
  for (uint32_t i = 0; i < p.count; ++i) out[i] = a[i] + b[i];
}

constexpr CpuKernelRow kKernels[] = {
    {"fill_u32", fill_u32, 1, sizeof(FillParameters)},
    {"add_f32", add_f32, 3, sizeof(AddParameters)},
};

}  // namespace

const CpuKernelRow* find_cpu_kernel(const char* name) {
  for (const std::span<const CpuKernelRow> rows :
       {std::span<const CpuKernelRow>(kKernels), cpu_operators(), cpu_linears(), cpu_decoders(), cpu_senses(),
        cpu_pages(), cpu_candidates()}) {
    for (const CpuKernelRow& row : rows) {
      if (std::strcmp(row.name, name) == 0) return &row;
    }
  }
  return nullptr;
}

}  // namespace arrowmind::device
