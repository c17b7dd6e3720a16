#pragma once

// What the parts of DevicePlan share. Included by them alone.

#include "runtime/on_device/device_plan.h"

namespace arrowmind::runtime {

// Buffers are laid out for a multiple of so many rows, which keeps each at a multiple of 256 bytes.
constexpr int64_t kRowRound = 64;

// One micro-batch: its numbers, and where it lies.
struct DevicePlan::Forward {
  Context& context;
  const device::Buffer& memory;
  Layout at;
  int64_t rows, sequences;
  const CacheRun* cache;             // or null
  const Memory* looked;              // what the sequences look at; or null
  device::Slice from = {}, to = {};  // lists of the rows of an expert

  bool has(const Step& step) const {
    if (step.residency != nullptr || step.is_border) return false;
    return step.when == When::kAlways || (step.when == When::kCached) == (cache != nullptr);
  }
};

}  // namespace arrowmind::runtime
