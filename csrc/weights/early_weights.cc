#include "weights/early_weights.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "arrow/read_through.h"
#include "base/checked.h"

namespace arrowmind::weights {
namespace {

using Ranges = std::vector<std::pair<int64_t, int64_t>>;

// Bytes that are read with their neighbours: less than another request costs.
constexpr int64_t kGap = 64 << 10;
constexpr int64_t kPiece = 2 << 20;
constexpr int64_t kChunk = 64 << 10;  // of a hash tree
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

// Of the hash tree's chunks that hold these ranges, before `end`.
std::vector<arrow::FileRange> pieces_of(const Ranges& ranges, int64_t end) {
  std::vector<arrow::FileRange> pieces;
  for (const auto& [offset, size] : ranges) {
    const int64_t stop = std::min(round_up(offset + size, kChunk), end);
    for (int64_t at = offset / kChunk * kChunk; at < stop; at += kPiece) {
      pieces.push_back({at, std::min(kPiece, stop - at)});
    }
  }
  return pieces;
}

// What stays of a sound file of weights; nothing of another.
Ranges ranges_of(const arrow::ArrowFile& file) {
  if (file.batch_count() != 1) return {};
  const WeightTable table(std::make_shared<const arrow::Batch>(file.batch(0)));
  return table.is_sound() ? staying_ranges(table) : Ranges();
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

Ranges staying_ranges(const WeightTable& table) {
  bool has_experts = false;
  for (int64_t row = 0; row < table.rows(); ++row) {
    has_experts = has_experts || is_of_expert(table.text("name", row));
  }
  const auto do_codes_stay = [&](int64_t row) {
    const std::string_view name = table.text("name", row);
    const bool is_matrix = table.shape(row).size() == 2;
    if (!is_matrix) return true;
    return has_experts ? !is_of_expert(name) : is_table(name) || holds(name, "lm_head");
  };
  Ranges small, codes;
  const int64_t end = table.mapping()->size();
  const auto add = [&](int64_t row, Buffer buffer, Ranges& ranges) {
    const arrow::FileRange range = table.range(row, buffer);
    if (range.size > end - range.offset) return;  // of a file that lies about sizes: who reads it says so
    ranges.emplace_back(range.offset, range.size);
  };
  for (int64_t row = 0; row < table.rows(); ++row) {
    for (const Buffer buffer : kSmall) add(row, buffer, small);
    if (do_codes_stay(row)) add(row, Buffer::kCodes, codes);
  }
  Ranges found = joined(std::move(small));
  const Ranges behind = joined(std::move(codes));
  found.insert(found.end(), behind.begin(), behind.end());
  return found;
}

EarlyWeights::EarlyWeights(std::string path, bool hashed) : path_(std::move(path)), hashed_(hashed) {}

void EarlyWeights::tell(std::optional<Opened> opened) {
  {
    const std::lock_guard lock(mutex_);
    if (is_told_) return;
    opened_ = std::move(opened);
    is_told_ = true;
  }
  told_.notify_all();
}

std::optional<EarlyWeights::Opened> EarlyWeights::opened() const {
  std::unique_lock lock(mutex_);
  told_.wait(lock, [this] { return is_told_; });
  return opened_;
}

Ranges EarlyWeights::read() {
  try {
    Opened opened{arrow::ArrowFile::open(path_), nullptr};
    const arrow::ArrowFile& file = *opened.file;
    const Ranges ranges = ranges_of(file);
    if (!hashed_ || file.tree_offset() < 0) {
      tell(opened);
      file.mapping()->read_ahead(ranges);
      return ranges;
    }
    const std::vector<arrow::FileRange> pieces = pieces_of(ranges, file.tree_offset());
    arrow::ReadThrough reading(*file.mapping(), pieces);  // the disk works while the tree is checked
    opened.tree = arrow::HashTree::open(file.mapping(), file.tree_offset(), file.footer_offset());
    tell(opened);
    // Bytes are read beside the mapping: a budget counts the process as it is before the model comes, and a
    // page that is mapped before it is there has the system read megabytes around it.
    for (size_t i = 0; i < pieces.size() && !is_ended_; ++i) {
      reading.await(i + 1);
      opened.tree->verify({pieces[i]}, "what a model needs", true);
    }
    return ranges;
  } catch (...) {
    tell(std::nullopt);
    throw;
  }
}

}  // namespace arrowmind::weights
