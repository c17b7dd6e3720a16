#pragma once

#include <cstdint>
#include <memory>

#include "device/device.h"
#include "runtime/ops/linear.h"

namespace arrowmind::runtime {

// Rows through a linear layer by itself, between the work of others on a device: in their stream, and in
// their memory, whose addresses are the device's and are read by nobody here.
struct ForeignLinear {
  LinearWeights weights;  // addresses of the device
  BufferType activation = BufferType::kF32;
  const float* multiplier = nullptr;  // [k] or null; with codes of activations alone
  uint64_t stream = 0;
  uint64_t x = 0;  // f32 [rows][k]
  int64_t rows = 0;
  uint64_t out = 0;      // f32 [rows][n]
  uint64_t scratch = 0;  // of foreign_scratch_bytes()
};

// Memory beside rows and results, for codes of activations; 0: none.
int64_t foreign_scratch_bytes(const LinearWeights& weights, BufferType activation, int64_t rows);

// Returns when all is submitted. Throws DeviceFailure, and Error(kWeight) or Error(kInvalidArgument) for what
// does not fit.
void run_foreign_linear(const std::shared_ptr<device::Device>& device, const ForeignLinear& layer);

}  // namespace arrowmind::runtime
