#pragma once

#include <vector>

#include "device/cpu_kernels.h"

namespace arrowmind::device {

// A launch of the `cpu` device, with all that it was given.
struct CpuCall {
  const CpuKernelRow* row = nullptr;
  std::vector<void*> places = {};
  std::vector<char> parameters = {};

  // False where the kernel takes other arguments.
  static bool make(const ArrowmindLaunch& launch, CpuCall* call) {
    const auto* row = reinterpret_cast<const CpuKernelRow*>(launch.kernel);
    if (launch.place_count != row->places || launch.parameter_bytes != row->parameter_bytes) return false;
    const auto* bytes = static_cast<const char*>(launch.parameters);
    call->row = row;
    call->parameters.assign(bytes, bytes + launch.parameter_bytes);
    for (uint32_t i = 0; i < launch.place_count; ++i) {
      const ArrowmindPlace& place = launch.places[i];
      call->places.push_back(reinterpret_cast<char*>(place.memory) + place.offset);
    }
    return true;
  }
  void operator()() const { row->run(places.data(), parameters.data()); }
};

}  // namespace arrowmind::device
