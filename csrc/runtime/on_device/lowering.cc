#include "runtime/on_device/lowering.h"

#include "device/failure.h"

namespace arrowmind::runtime {

Place Lowering::constant(const void* data, int64_t bytes) {
  if (data == nullptr || bytes == 0) return nothing();
  constants_.push_back({data, bytes});
  return {Place::Kind::kConstant, static_cast<int>(constants_.size()) - 1};
}

void Lowering::fill(int buffer, Step::Fill fill) {
  Step step;
  step.places = {data(buffer)};
  step.fill = std::move(fill);
  steps_.push_back(std::move(step));
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
