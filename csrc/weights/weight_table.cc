#include "weights/weight_table.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string>
#include <utility>

#include "base/checked.h"
#include "base/crc32c.h"
#include "base/error.h"

namespace arrowmind::weights {
namespace {

using arrow::Column;
using arrow::FileRange;
using arrow::TypeId;

constexpr int64_t kChecksums = 5;
constexpr int64_t kCodesAlignment = 64;  // what kernels need; the writer gives a page
constexpr int64_t kCodesPadding = 4096;  // less than this behind codes,
constexpr int64_t kSmallPadding = 64;    // and behind other buffers
constexpr std::array<std::string_view, 5> kBuffers = {"codes", "scales", "zero_points", "sums",
                                                      "outer_scales"};
// Text columns in the order of a row of the index, then those that only name.
constexpr std::array<std::string_view, 8> kTexts = {"name",       "quant_type", "layout",     "activation",
                                                    "scale_type", "zero_type",  "layer_name", "weight_name"};

template <typename T>
std::vector<T> numbers(const arrow::Batch& batch, const Column& column, TypeId type, int64_t count) {
  if (column.field->type != type || column.null_count > 0) {
    fail(ErrorKind::kWeight, batch.mapping()->path(), ": column '", column.field->name, "' is ",
         column.field->type_name(), " with ", column.null_count, " missing values; convert the model again");
  }
  const arrow::Bytes bytes(batch.mapping(), {column.values.offset, count * static_cast<int64_t>(sizeof(T))});
  std::vector<T> values(static_cast<size_t>(count));
  if (count > 0) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

// Text that is the same in JSON and in messages.
bool is_ordinary(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char letter) {
    return letter >= ' ' && letter <= '~' && letter != '"' && letter != '\\' && letter != '\'';
  });
}

void append(std::string& json, int64_t number) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  json.append(digits.data(), end);
}

void append(std::string& json, std::string_view text) {
  json.append(1, '"').append(text).append(1, '"');
}

template <typename T>
void append_list(std::string& json, const T* values, int64_t count) {
  json += '[';
  for (int64_t i = 0; i < count; ++i) {
    if (i > 0) json += ',';
    append(json, static_cast<int64_t>(values[i]));
  }
  json += ']';
}

}  // namespace

std::string_view WeightTable::Strings::at(int64_t row) const {
  const int64_t begin = offsets.at(row);
  return {reinterpret_cast<const char*>(bytes.data()) + begin,
          static_cast<size_t>(offsets.at(row + 1) - begin)};
}

WeightTable::WeightTable(std::shared_ptr<const arrow::Batch> batch) : batch_(std::move(batch)) {
  if (rows() < 1 || rows() > INT32_MAX) return;
  load();
  descriptions_.resize(static_cast<size_t>(rows()));
  is_sound_ = true;
  for (int64_t row = 0; row < rows() && is_sound_; ++row) is_sound_ = describe(row);
}

void WeightTable::load() {
  const auto& file = mapping();
  for (const std::string_view name : kTexts) {
    const Column& column = batch_->column(name);
    if (column.field->type != TypeId::kUtf8 || column.null_count > 0) {
      fail(ErrorKind::kWeight, file->path(), ": column '", name, "' is ", column.field->type_name(), " with ",
           column.null_count, " missing values; convert the model again");
    }
    strings_.push_back({name, arrow::Offsets(file, column), arrow::Bytes(file, column.values)});
  }
  for (size_t i = 0; i < kBuffers.size(); ++i) {
    const Column& column = batch_->column(kBuffers[i]);
    if (column.field->type != TypeId::kLargeBinary) {
      fail(ErrorKind::kWeight, file->path(), ": column '", kBuffers[i], "' is ", column.field->type_name(),
           "; convert the model again");
    }
    binary_[i] = {arrow::Offsets(file, column), column.values.offset};
  }
  axes_ = numbers<int32_t>(*batch_, batch_->column("quant_axis"), TypeId::kInt32, rows());
  groups_ = numbers<int32_t>(*batch_, batch_->column("group_size"), TypeId::kInt32, rows());
  codes_bytes_ = numbers<int64_t>(*batch_, batch_->column("codes_bytes"), TypeId::kInt64, rows());
  const Column& shapes = batch_->column("shape");
  const Column& checksums = batch_->column("checksums");
  if (shapes.field->type != TypeId::kList || shapes.null_count > 0 ||
      checksums.field->type != TypeId::kFixedSizeList || checksums.field->width != kChecksums) {
    fail(ErrorKind::kWeight, file->path(), ": columns of shapes or checksums are of other types");
  }
  shape_offsets_ = arrow::Offsets(file, shapes);
  const Column& sizes = shapes.children.at(0);
  sizes_ = numbers<int32_t>(*batch_, sizes, TypeId::kInt32, sizes.length);
  checksums_ = numbers<uint32_t>(*batch_, checksums.children.at(0), TypeId::kUInt32, kChecksums * rows());
}

const WeightTable::Strings& WeightTable::strings(std::string_view column) const {
  for (const Strings& one : strings_) {
    if (one.column == column) return one;
  }
  fail(ErrorKind::kInvalidArgument, "weights have no text column '", column, "'");
}

std::string_view WeightTable::text(std::string_view column, int64_t row) const {
  return strings(column).at(row);
}

std::vector<int32_t> WeightTable::shape(int64_t row) const {
  return {sizes_.data() + shape_offsets_.at(row), sizes_.data() + shape_offsets_.at(row + 1)};
}

bool WeightTable::describe(int64_t row) {
  Description found;
  const auto type = type_called(text("quant_type", row));
  if (!type || !is_named(row)) return false;
  found.type = *type;
  const std::string_view layout = text("layout", row);
  found.is_packed = layout != "row";
  if (found.is_packed && layout != layout_of(found.type)) return false;
  const int64_t first = shape_offsets_.at(row);
  const int64_t dimensions = shape_offsets_.at(row + 1) - first;
  for (int64_t i = 0; i < dimensions; ++i) {
    if (sizes_[static_cast<size_t>(first + i)] < 1) return false;
  }
  if (dimensions > 0) found.rows = found.n = sizes_[static_cast<size_t>(first)];
  found.is_vector = dimensions == 1;
  if (dimensions > 1) found.k = sizes_[static_cast<size_t>(first + 1)];
  if (found.is_packed && dimensions != 2) return false;
  found.group = groups_[static_cast<size_t>(row)];
  const bool is_whole = found.group == -1 ? describe_plain(row, found) : describe_grid(row, found);
  descriptions_[static_cast<size_t>(row)] = found;
  return is_whole && is_met(row, found) && found.codes_bytes == codes_bytes_[static_cast<size_t>(row)];
}

bool WeightTable::is_named(int64_t row) const {
  const std::string_view name = text("name", row), layer = text("layer_name", row);
  const std::string_view weight = text("weight_name", row);
  if (name.empty() || !is_ordinary(name)) return false;
  if (layer.empty()) return name == weight;
  return name.size() == layer.size() + weight.size() + 1 && name.starts_with(layer) &&
         name[layer.size()] == '.' && name.ends_with(weight);
}

// Whether activations and the axis of scales go with the tensor.
bool WeightTable::is_met(int64_t row, const Description& found) const {
  const std::string_view activation = text("activation", row);
  const int32_t axis = axes_[static_cast<size_t>(row)];
  if (activation != "fp32" && !(found.is_packed && found.is_coded())) return false;
  if (found.scale != Scale::kNone) return axis == 0 && (activation == "fp32" || activation == "int8");
  if (axis != -1 && !(axis == 0 && found.is_coded() && !found.is_vector)) return false;
  return activation == "fp32" || activation == "int16" || activation == "int8";
}

bool WeightTable::describe_plain(int64_t row, Description& found) const {
  if (!text("scale_type", row).empty() || !text("zero_type", row).empty()) return false;
  if (found.type > Type::kI8) return false;
  const int64_t first = shape_offsets_.at(row), last = shape_offsets_.at(row + 1);
  if (found.type == Type::kI8 && first == last) return false;
  int64_t bytes = bits_of(found.type) / 8;
  if (found.is_packed) {
    const int64_t together = found.type == Type::kI8 ? 4 : 1;
    if (!checked_mul(bytes, round_up(found.n, kPanel), &bytes) ||
        !checked_mul(bytes, round_up(found.k, together), &bytes)) {
      return false;
    }
  } else {
    for (int64_t i = first; i < last; ++i) {
      if (!checked_mul(bytes, static_cast<int64_t>(sizes_[static_cast<size_t>(i)]), &bytes)) return false;
    }
  }
  found.codes_bytes = bytes;
  return true;
}

bool WeightTable::describe_grid(int64_t row, Description& found) const {
  constexpr std::array<int32_t, 5> kGroups = {16, 32, 64, 128, 0};
  const auto scale = scale_called(text("scale_type", row));
  const std::string_view zero = text("zero_type", row);
  const bool has_group = std::find(kGroups.begin(), kGroups.end(), found.group) != kGroups.end();
  if (!scale || !has_group) return false;
  if (found.group == 0 ? *scale != Scale::kF32 && *scale != Scale::kF16 : *scale == Scale::kF32) return false;
  if (found.type < Type::kI8 || shape_offsets_.at(row + 1) - shape_offsets_.at(row) != 2) return false;
  found.scale = *scale;
  found.has_zeros = zero == "u8";
  if (!zero.empty() && !found.has_zeros) return false;
  if (found.has_zeros && found.type != Type::kI4 && found.type != Type::kI2) return false;
  const int64_t bits = bits_of(found.type);
  const int64_t block = found.group == 0 ? 128 : std::max<int64_t>(32, found.group);
  const int64_t rows = found.is_packed ? round_up(found.n, kPanel) : found.n;
  // Sizes are below 2^31: a row's bits fit.
  const int64_t row_bytes = ceil_div((found.is_packed ? round_up(found.k, block) : found.k) * bits, 8);
  return checked_mul(rows, row_bytes, &found.codes_bytes);
}

bool WeightTable::are_alike(std::span<const int32_t> rows) const {
  const auto is_like_first = [&](int32_t row) {
    const Description &one = description(row), &first = description(rows[0]);
    return one.type == first.type && one.scale == first.scale && one.is_packed == first.is_packed &&
           one.group == first.group && one.has_zeros == first.has_zeros &&
           text("activation", row) == text("activation", rows[0]);
  };
  return std::all_of(rows.begin(), rows.end(), is_like_first);
}

uint32_t WeightTable::checksum(uint32_t crc) const {
  std::string json = "[";
  for (int64_t row = 0; row < rows(); ++row) {
    if (row > 0) json += ',';
    const size_t at = static_cast<size_t>(row);
    json += '[';
    append(json, text("name", row));
    append(json += ',', text("quant_type", row));
    append_list(json += ',', sizes_.data() + shape_offsets_.at(row),
                shape_offsets_.at(row + 1) - shape_offsets_.at(row));
    append(json += ',', text("layout", row));
    append(json += ',', static_cast<int64_t>(axes_[at]));
    append(json += ',', text("activation", row));
    append(json += ',', static_cast<int64_t>(groups_[at]));
    append(json += ',', text("scale_type", row));
    append(json += ',', text("zero_type", row));
    append_list(json += ',', checksums_.data() + kChecksums * row, kChecksums);
    json += ']';
  }
  json += ']';
  return crc32c(json.data(), static_cast<int64_t>(json.size()), crc);
}

FileRange WeightTable::stored(int64_t row, Buffer buffer) const {
  const Binary& column = binary_[static_cast<size_t>(buffer)];
  const int64_t begin = column.offsets.at(row);
  return {column.begin + begin, column.offsets.at(row + 1) - begin};
}

int64_t WeightTable::first_unsound(std::span<const int32_t> rows, const arrow::HashTree* tree) const {
  constexpr std::array<Buffer, 4> kSmall = {Buffer::kOuterScales, Buffer::kScales, Buffer::kZeroPoints,
                                            Buffer::kSums};
  for (const int32_t row : rows) {
    if (row < 0 || row >= this->rows() || !has_sound_codes(row)) return row;
    for (const Buffer buffer : kSmall) {
      if (!has_sound(row, buffer, tree)) return row;
    }
  }
  return -1;
}

bool WeightTable::has_sound_codes(int64_t row) const {
  const FileRange codes = stored(row, Buffer::kCodes);
  const int64_t beyond = codes.size - description(row).codes_bytes;
  return codes.offset % kCodesAlignment == 0 && beyond >= 0 && beyond < kCodesPadding;
}

bool WeightTable::has_sound(int64_t row, Buffer buffer, const arrow::HashTree* tree) const {
  const Description& tensor = description(row);
  const Presence wanted = presence(tensor, buffer);
  const FileRange place = stored(row, buffer);
  if (place.size == 0) return wanted != Presence::kAlways;
  const int64_t size = bytes_of(tensor, buffer);
  if (wanted == Presence::kNever || place.size < size || place.size - size >= kSmallPadding) return false;
  const uint8_t* data = mapping()->data() + place.offset;
  const size_t which = static_cast<size_t>(buffer);
  if (tree != nullptr &&
      !tree->is_verified(data, size)) {  // else no name is put together: there are thousands
    tree->verify(data, size, cat("tensor '", text("name", row), "': ", kBuffers[which]));
  }
  return crc32c(data, size) == checksums_[static_cast<size_t>(kChecksums * row) + which] &&
         holds_sound(tensor, buffer, data, size);
}

FileRange WeightTable::range(int64_t row, Buffer buffer) const {
  const FileRange place = stored(row, buffer);
  const int64_t size = bytes_of(description(row), buffer);
  return {place.offset, place.size == 0 ? 0 : size};
}

std::vector<FileRange> WeightTable::moving(int64_t row) const {
  std::vector<FileRange> found = {range(row, Buffer::kCodes)};
  if (description(row).scale == Scale::kNone) return found;
  for (const Buffer buffer : {Buffer::kScales, Buffer::kZeroPoints}) {
    const FileRange place = range(row, buffer);
    if (place.size > 0) found.push_back(place);
  }
  return found;
}

}  // namespace arrowmind::weights
