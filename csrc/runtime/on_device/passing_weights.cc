#include "runtime/on_device/passing_weights.h"

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "residency/lease.h"

namespace arrowmind::runtime {
namespace {

constexpr size_t kPlaces = 2;
// Kernels read whole rows of so many bytes.
constexpr int64_t kPadding = 64;

}  // namespace

PassingWeights::PassingWeights(const std::shared_ptr<device::Device>& device, const Lowering& lowering)
    : copies_(device) {
  lay_out(lowering, std::max<int64_t>(256, device->info().alignment_bytes));
  for (size_t place = 0; place < std::min(kPlaces, blocks_.size()); ++place) {
    int64_t most = kPadding;
    for (size_t block = place; block < blocks_.size(); block += kPlaces) {
      most = std::max(most, blocks_[block].bytes);
    }
    places_.push_back({device->allocate(most), device->event(), -1});
  }
}

void PassingWeights::lay_out(const Lowering& lowering, int64_t alignment) {
  for (const Step& step : lowering.steps()) {
    if (step.is_border) blocks_.emplace_back();
    if (blocks_.empty()) continue;  // what is before the first block stays there
    Block& block = blocks_.back();
    if (step.residency != nullptr && !step.blocks.empty()) {
      block.residency = step.residency;
      block.needed = step.blocks;
      block.ahead = step.ahead;
    }
    for (const runtime::Place& place : step.places) {
      if (place.kind != runtime::Place::Kind::kConstant) continue;
      const Constant& constant = lowering.constants()[static_cast<size_t>(place.id)];
      const int64_t bytes = constant.all_bytes();
      const bool is_new = block.offsets.try_emplace({constant.data, bytes}, block.bytes).second;
      if (!is_new) continue;
      constant.each([&](const void* data, int64_t offset) {
        block.parts.push_back({data, constant.bytes, block.bytes + offset});
      });
      block.bytes = round_up(block.bytes + round_up(bytes, kPadding), alignment);
    }
  }
}

device::Slice PassingWeights::slice(size_t block, const Constant& constant) const {
  return {&places_[block % places_.size()].memory,
          blocks_[block].offsets.at({constant.data, constant.all_bytes()})};
}

void PassingWeights::send(size_t block) {
  Place& place = places_[block % places_.size()];
  const Block& sent = blocks_[block];
  residency::Lease lease;
  if (sent.residency != nullptr) {
    lease.change(sent.residency, sent.needed);
    if (!sent.ahead.empty()) sent.residency->prefetch(sent.ahead);
  }
  copies_.after(place.done);
  place.block = static_cast<int64_t>(block);
  copies_.copy(place.memory, 0, sent.parts);
  if (sent.residency != nullptr) copies_.let_go();
  sent_ += sent.bytes;
}

void PassingWeights::expect(size_t block, device::Stream& stream) {
  if (places_[block % places_.size()].block != static_cast<int64_t>(block)) {
    fail(ErrorKind::kDevice, "block ", block, " was not sent to the device");
  }
  copies_.before(stream);
}

void PassingWeights::done(size_t block, device::Stream& stream) {
  stream.record(places_[block % places_.size()].done);
}

void PassingWeights::stop() noexcept {
  copies_.stop();
  for (Place& place : places_) place.block = -1;
}

}  // namespace arrowmind::runtime
