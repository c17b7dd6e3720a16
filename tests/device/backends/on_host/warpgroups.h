#pragma once

// The words of device/gpu/warpgroups.h for fibers, harsher than a device: copies are done when somebody waits
// for them, products too, and until then what they write is NaN; products see nothing that was not shown to
// them; and whoever changes what a product may still read, or forgets a word, ends the process, with words.

#include <cstdint>

#include "on_host/fibers.h"

namespace arrowmind::on_host {

void ask_copy(void* to, const void* from);
void end_copies();
void wait_copies(uint32_t most);
void show_to_products();
void begin_products();
void multiply_rows(float* d, const uint32_t* a, uint64_t b);
void end_products();
void wait_products(uint32_t most);
void take_sums(const float* d);
// Products from now on take their rows in another order of k than devices do.
void misread_rows(bool wrong);

// What a descriptor says of a matrix whose columns are one k behind the other.
struct Columns {
  uint32_t start = 0, leading = 0, stride = 0;  // bytes
  uint32_t width = 0;                           // of a column within a pattern, bytes; 0: no pattern

  explicit Columns(uint64_t descriptor);
  // Of the two bytes of k (below 16) of a column.
  uint32_t address(uint32_t column, uint32_t k) const;
};

}  // namespace arrowmind::on_host

namespace arrowmind::device::gpu {

inline uint32_t address_in_group(const void* memory) {
  return fibers::shared_offset(memory);
}
inline void ask_copy(void* to, const void* from) {
  on_host::ask_copy(to, from);
}
inline void end_copies() {
  on_host::end_copies();
}
template <int kMost>
inline void wait_copies() {
  on_host::wait_copies(kMost);
}
inline void show_to_products() {
  on_host::show_to_products();
}
inline void begin_products(const uint32_t (&)[2][4]) {
  on_host::begin_products();
}
inline void multiply_rows(float (&d)[16][4], const uint32_t (&a)[4], uint64_t b) {
  on_host::multiply_rows(&d[0][0], a, b);
}
inline void end_products() {
  on_host::end_products();
}
template <int kMost>
inline void wait_products() {
  on_host::wait_products(kMost);
}
inline void take_sums(float (&d)[16][4]) {
  on_host::take_sums(&d[0][0]);
}

}  // namespace arrowmind::device::gpu
