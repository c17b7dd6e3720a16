#pragma once

// What the parts of DevicePlan share. Included by them alone.

#include "runtime/on_device/device_plan.h"

namespace arrowmind::runtime {

// Buffers are laid out for a multiple of so many rows, which keeps each at a multiple of 256 bytes.
constexpr int64_t kRowRound = 64;
// Groups in the second direction of a grid; every device takes as many.
constexpr int64_t kMostRows = 32768;

// One micro-batch: its numbers, and where it lies.
struct DevicePlan::Forward {
  Context& context;
  const device::Buffer& memory;
  Layout at;
  int64_t rows, sequences;
  const CacheRun* cache;               // or null
  const Memory* looked;                // what the sequences look at; or null
  device::Slice from = {}, to = {};    // lists of the rows of an expert
  device::LaunchList* list = nullptr;  // set: launches go there and not to the stream

  bool has(const Step& step) const {
    if (step.residency != nullptr || step.is_border || step.fill) return false;
    return step.when == When::kAlways || (step.when == When::kCached) == (cache != nullptr);
  }

  // Where the host writes what is to lie at an offset of the inputs.
  template <typename Value>
  Value* input(int64_t offset) const {
    return reinterpret_cast<Value*>(context.inputs.data() + (offset - at.numbers));
  }
};

}  // namespace arrowmind::runtime
