#pragma once

// The driver of a kind of GPU, opened when it is first asked for: CUDA's, or with ARROWMIND_HIP that of ROCm.

#include <cstddef>
#include <cstdint>
#include <string>

namespace arrowmind::device::gpu {

#ifdef ARROWMIND_HIP
constexpr bool kIsHip = true;
#else
constexpr bool kIsHip = false;
#endif

// What both drivers answer.
enum Failure : int {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kNotReady = 600,
};

// A launch in a graph, as the driver has it.
#ifdef ARROWMIND_HIP
struct KernelNode {
  unsigned group[3];
  void** extra;
  void* function;
  unsigned grid[3];
  void** arguments;
  unsigned shared_bytes;
};
#else
struct KernelNode {
  void* function;
  unsigned grid[3], group[3];
  unsigned shared_bytes;
  void** arguments;
  void** extra;
  void *library_kernel, *context;  // neither is looked at where there is a function
};
#endif

struct Driver {
#define DRIVER(member, cuda, hip, parameters) int(*member) parameters = nullptr;
#define OPTIONAL(member, cuda, hip, parameters) int(*member) parameters = nullptr;
#include "device/gpu/driver.inc"
#undef DRIVER
#undef OPTIONAL
#ifdef ARROWMIND_HIP
  const char* (*failure_text)(int failure) = nullptr;
#else
  int (*failure_text)(int failure, const char** text) = nullptr;
#endif
};

// Whether it can run launches as one.
inline bool has_graphs(const Driver& driver) {
  return driver.create_graph != nullptr && driver.destroy_graph != nullptr && driver.add_node != nullptr &&
         driver.instantiate != nullptr && driver.destroy_ready != nullptr && driver.run_ready != nullptr;
}

// What the driver says of a failure.
std::string words_of(const Driver& driver, int failure);

// The driver, or why there is none. Tried anew until it was found once: a driver may be installed meanwhile.
struct Opened {
  const Driver* driver = nullptr;
  int32_t answer = 0;  // ArrowmindProbe
  std::string words;
};
Opened open_driver();

// ArrowmindStatus of a failure of the driver.
int32_t status_of(int failure);

}  // namespace arrowmind::device::gpu
