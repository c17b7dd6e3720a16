// Products by warpgroups: which launches may have them, and the rows that they read.

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "runtime/on_device/device_forward.h"
#include "runtime/on_device/wgmma_trial.h"

namespace arrowmind::runtime {
namespace {

device::LinearParameters linear_of(const Step& step) {
  device::LinearParameters p;
  std::memcpy(&p, step.parameters.data(), sizeof p);
  return p;
}

int64_t rounded_width(const Step& step) {
  return round_up(int64_t{linear_of(step).k}, int64_t{device::kRoundedChunk});
}

}  // namespace

// `kernel` without the suffix. A device whose results are not those that they should be does without.
std::optional<DevicePlan::Kernel> DevicePlan::find_wgmma(const Step& step, const std::string& kernel) {
  if (linear_of(step).n < device::kWgmmaOutputs) return std::nullopt;
  std::optional<Kernel> found = find_other(kernel + "_wgmma");
  if (!found) return std::nullopt;
  if (const std::string words = try_wgmma(device_, found->name); !words.empty()) {
    left_out_.emplace(found->name, words);
    return std::nullopt;
  }
  if (!round_) round_ = find("round_rows");
  rounded_columns_ = std::max(rounded_columns_, rounded_width(step));
  return found;
}

bool DevicePlan::rounds_rows(int64_t rows) const {
  return rounded_columns_ > 0 && rows >= device::kWgmmaRows;
}

device::Slice DevicePlan::round_rows(const Forward& f, const Step& step, const device::Slice& rows) const {
  const device::LinearParameters p = linear_of(step);
  device::RoundRowsParameters own = {};
  own.rows = Lowering::word(f.rows);
  own.sequences = Lowering::word(f.sequences);
  own.width = p.k;
  own.in_stride = p.a_stride;
  const device::Slice slices[] = {rows, {&f.memory, f.at.rounded}};
  const device::Grid grid = grid_of(*round_, {rounded_width(step) / device::kRoundedStep, f.rows, 1});
  const auto parameters = std::as_bytes(std::span(&own, 1));
  if (f.list != nullptr) {
    f.list->add(round_->number, grid, slices, parameters);
  } else {
    f.context.stream.launch(round_->number, grid, slices, parameters);
  }
  return slices[1];
}

}  // namespace arrowmind::runtime
