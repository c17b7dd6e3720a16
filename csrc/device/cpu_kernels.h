#pragma once

#include <cstdint>

#include "device/backend.h"

namespace arrowmind::device {

// A kernel of the `cpu` device; `places` are addresses.
using CpuKernel = void (*)(void* const* places, const void* parameters);

// What proves a back end: every one has these two kernels, with the same places and parameters, and the tests
// of the device layer run them on each. `count` threads at least are launched; those beyond it do nothing.
//   fill_u32   places: out [count]; parameters: FillParameters; out[i] = value
//   add_f32    places: a, b, out [count]; parameters: AddParameters; out[i] = a[i] + b[i]
struct FillParameters {
  uint32_t count, value;
};
struct AddParameters {
  uint32_t count;
};

struct CpuKernelRow {
  const char* name;
  CpuKernel run;
  uint32_t places, parameter_bytes;
};

// Null where there is none of this name.
const CpuKernelRow* find_cpu_kernel(const char* name);

}  // namespace arrowmind::device
