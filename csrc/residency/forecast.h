#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace arrowmind::residency {

// Which block gives way.
enum class Policy : uint8_t {
  kLeastRecent,  // the one whose last use is longest ago
  kFarthest,     // the one whose next use is expected last
};

// Learns from uses how far away the next use of a block is. Blocks are numbered from 0.
class Forecast {
 public:
  virtual ~Forecast() = default;
  // Blocks were asked for together.
  virtual void note(std::span<const int32_t> blocks) = 0;
  // In units of its own; the larger, the less a block is worth.
  virtual int64_t distance(int32_t block) const = 0;
  // How probable it is that a round uses the block: 0 to 1; 0 for one that was never used.
  virtual double chance(int32_t block) const = 0;
};

// `places` of the blocks order uses within a round: blocks that are asked for at one time share a place.
std::unique_ptr<Forecast> make_forecast(Policy policy, const std::vector<int64_t>& places);

}  // namespace arrowmind::residency
