#pragma once

#include <cstdint>

namespace arrowmind::device::gpu {

// A kernel as it is launched; one row of kernels.inc.
struct KernelRow {
  const char* name;
  int image;  // number of its image
  uint32_t places, parameter_bytes;
  uint32_t group;    // threads; 0: as many as the caller wants
  uint32_t tile[3];  // items of work of a group
};

// Their numbers are below it.
constexpr int kMostKernels = 192;
// Number of the kernel of this name; -1 where there is none.
int find_row(const char* name);
const KernelRow& row(int number);

// Code of a source for all architectures, as the driver loads it. Null: not part of this build.
struct Image {
  const char* source;
  const void* code;
};
constexpr int kMostImages = 24;
const Image& image(int index);

}  // namespace arrowmind::device::gpu
