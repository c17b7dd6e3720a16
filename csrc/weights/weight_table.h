#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "arrow/file.h"
#include "arrow/hash_tree.h"
#include "weights/buffers.h"
#include "weights/description.h"

namespace arrowmind::weights {

// The tensors of a weights.arrow (docs/formats/weights-arrow.md), described and checked all at once: a model
// of experts has thousands. It knows what is sound, and says of all else no more than that: the rules are
// those of arrowmind.weights.tensor, which words what breaks them.
class WeightTable {
 public:
  // Throws Error(kWeight) for other columns, Error(kIntegrity) for damaged ones.
  explicit WeightTable(std::shared_ptr<const arrow::Batch> batch);

  int64_t rows() const { return batch_->length; }
  // Whether every description is sound; nothing below may be asked otherwise.
  bool is_sound() const { return is_sound_; }
  const Description& description(int64_t row) const { return descriptions_.at(static_cast<size_t>(row)); }
  std::string_view text(std::string_view column, int64_t row) const;
  int32_t axis(int64_t row) const { return axes_[row]; }
  std::vector<int32_t> shape(int64_t row) const;
  // Whether kernels meet the matrices alike: type, layout, activation and grid are the same.
  bool are_alike(std::span<const int32_t> rows) const;

  // CRC-32C of all descriptions and checksums as canonical JSON, behind what gave `crc`.
  uint32_t checksum(uint32_t crc) const;
  // The first row whose buffers are not sound, -1 where all are: sizes, and of all but the codes what they
  // hold, their checksums, and their hashes, where there is a tree. Throws Error(kIntegrity) for wrong
  // hashes.
  int64_t first_unsound(std::span<const int32_t> rows, const arrow::HashTree* tree) const;

  // Where a buffer that is sound lies, without padding; empty for one that a tensor does not have.
  arrow::FileRange range(int64_t row, Buffer buffer) const;
  // The buffers that come and go with a matrix: codes, and on a grid scales and zero points.
  std::vector<arrow::FileRange> moving(int64_t row) const;
  const std::shared_ptr<const arrow::MappedFile>& mapping() const { return batch_->mapping(); }

 private:
  struct Strings {
    std::string_view column;
    arrow::Offsets offsets;
    arrow::Bytes bytes;
    std::string_view at(int64_t row) const;
  };
  struct Binary {
    arrow::Offsets offsets;
    int64_t begin = 0;  // of the values in the file
  };

  const Strings& strings(std::string_view column) const;
  void load();
  bool describe(int64_t row);
  bool describe_plain(int64_t row, Description& found) const;
  bool describe_grid(int64_t row, Description& found) const;
  bool is_named(int64_t row) const;
  bool is_met(int64_t row, const Description& found) const;
  arrow::FileRange stored(int64_t row, Buffer buffer) const;
  bool has_sound_codes(int64_t row) const;
  bool has_sound(int64_t row, Buffer buffer, const arrow::HashTree* tree) const;

  std::shared_ptr<const arrow::Batch> batch_;
  bool is_sound_ = false;
  std::vector<Strings> strings_;
  std::array<Binary, 5> binary_;
  arrow::Offsets shape_offsets_;
  std::vector<int32_t> sizes_, axes_, groups_;
  std::vector<int64_t> codes_bytes_;
  std::vector<uint32_t> checksums_;
  std::vector<Description> descriptions_;
};

}  // namespace arrowmind::weights
