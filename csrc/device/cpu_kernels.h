#pragma once

#include <cstdint>

#include "device/backend.h"
#include "device/kernels.h"

namespace arrowmind::device {

// A kernel of the `cpu` device; `places` are addresses.
using CpuKernel = void (*)(void* const* places, const void* parameters);

struct CpuKernelRow {
  const char* name;
  CpuKernel run;
  uint32_t places, parameter_bytes;
};

// Null where there is none of this name.
const CpuKernelRow* find_cpu_kernel(const char* name);

}  // namespace arrowmind::device
