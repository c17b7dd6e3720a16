#pragma once

#include <cstdint>
#include <span>

namespace arrowmind::metal {

// A kernel as it is launched: a row of device/vulkan/kernels.inc, whose shader is its source.
struct KernelRow {
  const char* name;
  const char* text;  // in Metal's language; its function is arrowmind_<name>
  uint32_t places, parameter_bytes;
  uint32_t threads;  // of a group
  uint32_t tile[3];  // items of work of a group
};

std::span<const KernelRow> kernel_rows();

}  // namespace arrowmind::metal
