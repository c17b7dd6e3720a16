#pragma once

// Written once, compiled per ISA: the same bits everywhere. Included by ISA sources only.

#include "kernels/simd/f32x16.h"
#include "kernels/simd/simd.h"

namespace arrowmind::ARROWMIND_ISA {

template <typename Function>
inline void map_lanes(const simd::Params& p, const Function& function) {
  int64_t i = 0;
  for (; i + 16 <= p.size; i += 16) store(p.y + i, function(load(p.x + i)));
  if (i < p.size) store_part(p.y + i, function(load_part(p.x + i, p.size - i)), p.size - i);
}

}  // namespace arrowmind::ARROWMIND_ISA
