#pragma once

// Kernels in Metal's language, compiled as C++: what they are called with, and by which name they are found.

#include <cstdint>

namespace arrowmind::on_host {

struct Arguments {
  void* const* buffers;  // the places, then the parameters
};

struct Kernel {
  const char* name;
  uint32_t places;
  void (*run)(const Arguments& arguments);  // a thread; of one group that fibers run
  const Kernel* next;

  Kernel(const char* own_name, uint32_t own_places, void (*own_run)(const Arguments&))
      : name(own_name), places(own_places), run(own_run), next(first()) {
    first() = this;
  }

  // All there are.
  static const Kernel*& first();
};

}  // namespace arrowmind::on_host
