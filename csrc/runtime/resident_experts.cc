#include "runtime/resident_experts.h"

#include <utility>

namespace arrowmind::runtime {
namespace {

std::vector<int32_t> blocks_of(std::span<const int32_t> ids, const std::vector<int32_t>& blocks) {
  std::vector<int32_t> found;
  found.reserve(ids.size());
  for (const int32_t id : ids) found.push_back(blocks[static_cast<size_t>(id)]);
  return found;
}

// Where an address in the file has its memory; others stay as they are.
const uint8_t* there(const residency::Residency& residency, int32_t block, const void* described) {
  const auto* byte = static_cast<const uint8_t*>(described);
  const arrow::OnDemandFile& file = *residency.file();
  if (byte < file.data() || byte >= file.data() + file.size()) return byte;
  return residency.address(block, byte - file.data());
}

void find_matrix(const residency::Residency& residency, int32_t block, const LinearWeights& described,
                 LinearWeights& found) {
  found.packed = there(residency, block, described.packed);
  found.grid.scales = there(residency, block, described.grid.scales);
  found.grid.zeros = there(residency, block, described.grid.zeros);
}

}  // namespace

ResidentExperts::ResidentExperts(std::vector<ExpertWeights> experts,
                                 std::shared_ptr<residency::Residency> residency, ResidentOptions options)
    : experts_(std::move(experts)),
      there_(experts_),
      places_(experts_.size()),
      residency_(std::move(residency)),
      options_(std::move(options)) {}

size_t ResidentExperts::acquire(std::span<const int32_t> ids, const ExpertWeights** table) {
  const size_t count = residency_->acquire_first(blocks_of(ids, options_.blocks), options_.together);
  {
    const std::lock_guard lock(mutex_);
    for (const int32_t id : ids.first(count)) find_matrices(id);
  }
  for (size_t i = 0; i < ids.size(); ++i) table[i] = &there_[static_cast<size_t>(ids[i])];
  // Behind the reads of this layer, once nothing of it is left to ask for.
  if (count == ids.size() && !options_.ahead.empty()) {
    residency_->prefetch_likely(options_.ahead, options_.threshold);
  }
  return count;
}

// An expert that another forward holds is where it was, so that nothing is written that is being read.
void ResidentExperts::find_matrices(int32_t expert) {
  const auto at = static_cast<size_t>(expert);
  const ExpertWeights& described = experts_[at];
  const int32_t block = options_.blocks[at];
  const uint8_t* place = there(*residency_, block, described.gate.weights.packed);
  if (place == places_[at]) return;
  places_[at] = place;
  ExpertWeights& found = there_[at];
  find_matrix(*residency_, block, described.gate.weights, found.gate.weights);
  find_matrix(*residency_, block, described.up.weights, found.up.weights);
  find_matrix(*residency_, block, described.down.weights, found.down.weights);
}

void ResidentExperts::release(std::span<const int32_t> ids) noexcept {
  residency_->release(blocks_of(ids, options_.blocks));
}

void ResidentExperts::expect_next(std::span<const int32_t> ids) {
  residency_->expect(blocks_of(ids, options_.next));
}

const void* ResidentExperts::find(int32_t expert, const void* described) const {
  return there(*residency_, block(expert), described);
}

void ResidentExperts::pass_over(std::span<const int32_t> ids, bool whole) {
  residency_->pass_over(blocks_of(ids, options_.blocks), whole);
}

}  // namespace arrowmind::runtime
