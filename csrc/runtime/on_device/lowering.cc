#include "runtime/on_device/lowering.h"

#include <algorithm>

#include "device/failure.h"

namespace arrowmind::runtime {

Place Lowering::constant(const void* data, int64_t bytes) {
  return constant(Constant{.data = data, .bytes = bytes});
}

Place Lowering::constant(Constant constant) {
  if (constant.data == nullptr || constant.bytes == 0) return nothing();
  constants_.push_back(std::move(constant));
  return {Place::Kind::kConstant, static_cast<int>(constants_.size()) - 1};
}

void Lowering::fill(int buffer, Step::Fill fill) {
  Step step;
  step.places = {data(buffer)};
  step.fill = std::move(fill);
  steps_.push_back(std::move(step));
}

void Lowering::route(const Routed& routed) {
  Step step;
  step.routed = routed;
  steps_.push_back(std::move(step));
}

void Lowering::run_here(const Op& op, std::vector<int> reads, std::vector<int> writes) {
  Step step;
  step.here = &op;
  step.reads = std::move(reads);
  step.writes = std::move(writes);
  steps_.push_back(std::move(step));
}

void Lowering::need(std::shared_ptr<residency::Residency> residency, std::vector<int32_t> blocks,
                    std::vector<int32_t> ahead) {
  Step step;
  step.residency = std::move(residency);
  step.blocks = std::move(blocks);
  step.ahead = std::move(ahead);
  steps_.push_back(std::move(step));
  needs_ = true;
}

void Lowering::border() {
  Step step;
  step.is_border = true;
  steps_.push_back(std::move(step));
}

RowPlaces Lowering::rows(int buffer) const {
  const BufferType type = plan_.type(buffer);
  RowPlaces places{.type = type,
                   .stride = plan_.stride(buffer),
                   .group = plan_.group(buffer),
                   .data = data(buffer),
                   .scale = {},
                   .sum = {},
                   .zero = {}};
  if (type == BufferType::kF32) return places;
  places.scale = scale(buffer);
  places.sum = sum(buffer);
  if (type == BufferType::kI8) places.zero = zero(buffer);
  return places;
}

Place Lowering::spare(int64_t first, int64_t bytes) {
  spare_bytes_ = std::max(spare_bytes_, first + bytes);
  return {Place::Kind::kSpare, -1, first};
}

uint32_t Lowering::word(int64_t value) {
  if (value < 0 || value > UINT32_MAX) {
    throw device::DeviceFailure(device::Failure::kNotSupported,
                                cat("an operator of ", value,
                                    " elements is too large for a device; run this model with device='cpu'"));
  }
  return static_cast<uint32_t>(value);
}

}  // namespace arrowmind::runtime
