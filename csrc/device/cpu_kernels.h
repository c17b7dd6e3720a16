#pragma once

#include <cstdint>
#include <cstring>

#include "device/backend.h"
#include "device/kernels.h"

namespace arrowmind::device {

// A kernel of the `cpu` device; `places` are addresses.
using CpuKernel = void (*)(void* const* places, const void* parameters);

// What a kernel is given may stand anywhere in memory.
template <typename Parameters>
Parameters read_parameters(const void* parameters) {
  Parameters p;
  std::memcpy(&p, parameters, sizeof p);
  return p;
}

template <typename T>
T* at(void* const* places, int place) {
  return static_cast<T*>(places[place]);
}

struct CpuKernelRow {
  const char* name;
  CpuKernel run;
  uint32_t places, parameter_bytes;
};

// Null where there is none of this name.
const CpuKernelRow* find_cpu_kernel(const char* name);

}  // namespace arrowmind::device
