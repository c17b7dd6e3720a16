#include "interchange/safetensors.h"

#include <algorithm>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"

namespace arrowmind::interchange {
namespace {

constexpr int64_t kPrefixBytes = 8;
constexpr std::string_view kMetadataKey = "__metadata__";

struct Dtype {
  std::string_view name;
  int64_t bits;
};

constexpr Dtype kDtypes[] = {
    {"BOOL", 8},    {"U8", 8},      {"I8", 8},          {"F8_E5M2", 8},     {"F8_E4M3", 8}, {"F8_E8M0", 8},
    {"I16", 16},    {"U16", 16},    {"F16", 16},        {"BF16", 16},       {"I32", 32},    {"U32", 32},
    {"F32", 32},    {"I64", 64},    {"U64", 64},        {"F64", 64},        {"C64", 64},    {"F4", 4},
    {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
};

const Dtype* find_dtype(std::string_view name) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.name == name) return &dtype;
  }
  return nullptr;
}

std::vector<int64_t> read_counts(JsonReader& json, size_t limit, std::string_view what) {
  std::vector<int64_t> counts;
  json.begin_array();
  while (json.next_item()) {
    if (counts.size() == limit) json.damaged(cat("its ", what, " has more than ", limit, " numbers"));
    counts.push_back(json.count());
  }
  return counts;
}

// Bytes that shape and type need; -1 when they are no whole number of bytes, or more than any file has.
int64_t needed_bytes(const std::vector<int64_t>& shape, int64_t bits) {
  int64_t needed = bits;
  for (const int64_t size : shape) {
    if (!checked_mul(needed, size, &needed)) return -1;
  }
  return needed % 8 == 0 ? needed / 8 : -1;
}

std::string text_of(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

}  // namespace

std::shared_ptr<const SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  const std::shared_ptr<SafetensorsFile> file(new SafetensorsFile(arrow::MappedFile::open(path)));
  file->read_header();
  return file;
}

void SafetensorsFile::read_header() {
  const std::string& path = mapping_->path();
  const int64_t size = mapping_->size();
  if (size < kPrefixBytes) {
    fail(ErrorKind::kIntegrity, path, ": has ", size,
         " bytes, too few for a safetensors file; download or copy it again");
  }
  uint64_t declared = 0;
  std::memcpy(&declared, mapping_->read(0, kPrefixBytes).data(), sizeof(declared));
  const int64_t most = std::min(kHeaderLimit, size - kPrefixBytes);
  if (declared == 0 || declared > static_cast<uint64_t>(most)) {
    fail(ErrorKind::kIntegrity, path, ": declares a header of ", declared, " bytes, at most ", most,
         " are possible; download or copy it again");
  }
  const int64_t header_size = static_cast<int64_t>(declared);
  const std::vector<uint8_t> bytes = mapping_->read(kPrefixBytes, header_size);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  JsonReader json(text, path + ": header");
  std::string key;
  bool has_metadata = false;
  json.begin_object();
  while (json.next_key(&key)) {
    if (key == kMetadataKey) {
      if (std::exchange(has_metadata, true)) json.damaged("its __metadata__ comes twice");
      read_metadata(json);
    } else {
      tensors_.push_back(read_tensor(json, std::move(key)));
    }
  }
  json.end();
  index_.build(tensors_, path + ": tensor");
  check_places(kPrefixBytes + header_size);
  for (SafetensorsTensor& tensor : tensors_) tensor.bytes.offset += kPrefixBytes + header_size;
}

void SafetensorsFile::read_metadata(JsonReader& json) {
  std::string key;
  json.begin_object();
  while (json.next_key(&key)) metadata_.emplace_back(key, json.string());
  std::sort(metadata_.begin(), metadata_.end());
  for (size_t i = 1; i < metadata_.size(); ++i) {
    if (metadata_[i].first == metadata_[i - 1].first) json.damaged("its __metadata__ has a key twice");
  }
}

// Offsets are still those of the header: relative to the end of it.
SafetensorsTensor SafetensorsFile::read_tensor(JsonReader& json, std::string name) const {
  SafetensorsTensor tensor;
  std::vector<int64_t> offsets;
  std::string key;
  std::string type;
  int seen = 0;
  json.begin_object();
  while (json.next_key(&key)) {
    const int field = key == "dtype" ? 1 : key == "shape" ? 2 : key == "data_offsets" ? 4 : 0;
    if ((seen & field) != 0) json.damaged(cat("tensor '", shown(name), "' has its ", key, " twice"));
    seen |= field;
    if (field == 1) {
      type = json.string();
    } else if (field == 2) {
      tensor.shape = read_counts(json, kRankLimit, "shape");
    } else if (field == 4) {
      offsets = read_counts(json, 2, "data_offsets");
    } else {
      json.skip();
    }
  }
  tensor.name = std::move(name);
  const Dtype* dtype = find_dtype(type);
  const auto refuse = [&](const std::string& why) {
    json.damaged(cat("tensor '", shown(tensor.name), "' ", why));
  };
  if (seen != 7 || offsets.size() != 2) refuse("lacks its dtype, shape or two data_offsets");
  if (dtype == nullptr) refuse(cat("has the unknown dtype '", shown(type), "'"));
  if (offsets[1] < offsets[0]) refuse("ends before it begins");
  tensor.dtype = dtype->name;
  tensor.bytes = {offsets[0], offsets[1] - offsets[0]};
  if (needed_bytes(tensor.shape, dtype->bits) != tensor.bytes.size) {
    refuse(cat("of ", type, " ", text_of(tensor.shape), " does not fit its ", tensor.bytes.size, " bytes"));
  }
  return tensor;
}

// The bytes of the tensors follow each other without gaps, from the header to the end of the file.
void SafetensorsFile::check_places(int64_t data_start) const {
  const int64_t room = mapping_->size() - data_start;
  int64_t end = 0;
  for (const size_t i : by_offset(tensors_)) {
    const SafetensorsTensor& tensor = tensors_[i];
    if (tensor.bytes.offset != end || !range_fits(tensor.bytes.offset, tensor.bytes.size, room)) {
      fail(ErrorKind::kIntegrity, mapping_->path(), ": tensor '", shown(tensor.name), "' of ",
           tensor.bytes.size, " bytes lies at ", tensor.bytes.offset, " of ", room, ", it should at ", end,
           "; download or copy it again");
    }
    end += tensor.bytes.size;
  }
  if (end != room) {
    fail(ErrorKind::kIntegrity, mapping_->path(), ": ", room - end,
         " bytes behind the last tensor belong to none; download or copy it again");
  }
}

const SafetensorsTensor& SafetensorsFile::tensor(std::string_view name) const {
  const int64_t found = index_.find(tensors_, name);
  if (found < 0) {
    fail(ErrorKind::kWeight, mapping_->path(), ": has no tensor '", shown(name), "', it has ",
         tensors_.size(), " others");
  }
  return tensors_[static_cast<size_t>(found)];
}

}  // namespace arrowmind::interchange
