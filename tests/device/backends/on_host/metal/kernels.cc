// All kernels as Metal would be given them (csrc/device/metal/translate.cmake), as C++.
#include "on_host/metal/kernels.h"

#include "on_host/metal/language.h"

namespace arrowmind::on_host {

const Kernel*& Kernel::first() {
  static const Kernel* head = nullptr;
  return head;
}

namespace {

// What an argument of a kernel is bound to: memory, as whatever it is declared.
struct Bound {
  void* memory;
  template <class T>
  operator T&() const {
    return *static_cast<T*>(memory);
  }
};

metal::uint3 group_number() {
  const fibers::Place& at = fibers::place();
  return {at.group[0], at.group[1], at.group[2]};
}
metal::uint3 thread_number() {
  const fibers::Place& at = fibers::place();
  return {at.group[0] * at.fibers + at.fiber, at.group[1], at.group[2]};
}

// NOLINTBEGIN: words of Metal's language, and of translate.cmake.
#define kernel static
#define device
#define constant const
#define thread
#define threadgroup
#define GROUP_MEMORY(type, name, count) \
  static const char name##_key = 0;     \
  type(&name)[count] = *static_cast<type(*)[count]>(fibers::shared(&name##_key, sizeof(type) * count))
#define FROM_buffer(index) \
  Bound {                  \
    given.buffers[index]   \
  }
#define FROM_threadgroup_position_in_grid group_number()
#define FROM_thread_position_in_grid thread_number()
#define FROM_thread_index_in_threadgroup fibers::place().fiber
// NOLINTEND

#include "hosts.inc"

}  // namespace
}  // namespace arrowmind::on_host
