#include "weights/opening_ranges.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "arrow/file.h"

namespace arrowmind::weights {
namespace {

using Ranges = std::vector<std::pair<int64_t, int64_t>>;

// Bytes that are read with their neighbours: less than another request costs.
constexpr int64_t kGap = 64 << 10;
constexpr std::array<Buffer, 4> kSmall = {Buffer::kScales, Buffer::kZeroPoints, Buffer::kSums,
                                          Buffer::kOuterScales};

bool holds(std::string_view name, std::string_view part) {
  return name.find(part) != std::string_view::npos;
}

bool is_of_expert(std::string_view name) {
  return holds(name, ".experts.");
}

bool is_table(std::string_view name) {
  return holds(name, "embed") || holds(name, "wte.") || holds(name, "wpe.");
}

Ranges joined(Ranges ranges) {
  std::sort(ranges.begin(), ranges.end());
  Ranges found;
  for (const auto& [offset, size] : ranges) {
    if (size <= 0) continue;
    if (!found.empty() && offset - (found.back().first + found.back().second) <= kGap) {
      found.back().second = std::max(found.back().second, offset + size - found.back().first);
    } else {
      found.emplace_back(offset, size);
    }
  }
  return found;
}

}  // namespace

Ranges opening_ranges(const WeightTable& table, bool bounded) {
  bool has_experts = false;
  for (int64_t row = 0; row < table.rows(); ++row) {
    has_experts = has_experts || is_of_expert(table.text("name", row));
  }
  const auto are_codes_read = [&](int64_t row) {
    const std::string_view name = table.text("name", row);
    const bool is_matrix = table.shape(row).size() == 2;
    if (!is_matrix) return true;
    if (!bounded) return !is_table(name);
    return has_experts ? !is_of_expert(name) : is_table(name) || holds(name, "lm_head");
  };
  Ranges ranges;
  for (int64_t row = 0; row < table.rows(); ++row) {
    const auto add = [&](Buffer buffer) {
      const arrow::FileRange range = table.range(row, buffer);
      ranges.emplace_back(range.offset, range.size);
    };
    for (const Buffer buffer : kSmall) add(buffer);
    if (are_codes_read(row)) add(Buffer::kCodes);
  }
  const int64_t end = table.mapping()->size();
  const auto is_outside = [end](const auto& range) { return range.second > end - range.first; };
  std::erase_if(ranges, is_outside);  // of a file that lies about sizes: who reads it says so
  return joined(std::move(ranges));
}

Ranges read_for_opening(const std::string& path, bool bounded) {
  const std::shared_ptr<const arrow::ArrowFile> file = arrow::ArrowFile::open(path);
  if (file->batch_count() != 1) return {};
  const WeightTable table(std::make_shared<const arrow::Batch>(file->batch(0)));
  if (!table.is_sound()) return {};
  Ranges ranges = opening_ranges(table, bounded);
  file->mapping()->read_ahead(ranges);
  return ranges;
}

}  // namespace arrowmind::weights
