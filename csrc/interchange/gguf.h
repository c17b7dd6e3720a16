#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/column.h"
#include "arrow/mapped_file.h"
#include "interchange/gguf_blocks.h"
#include "interchange/layout.h"

namespace arrowmind::interchange {

// Types of metadata by their number in a file.
enum class GgufType : uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// Bytes of a number of this type; 0 for strings, arrays and types that do not exist.
int64_t number_bytes(GgufType type);

// A value of the metadata, or an array of them.
struct GgufValue {
  GgufType type = GgufType::kUint8;  // of the value, or of the items of the array
  bool is_array = false;
  int64_t count = 1;
  std::vector<uint8_t> bytes;     // numbers: little-endian, one after the other; strings: their characters
  std::vector<int64_t> ends;      // strings: end of each in `bytes`
  std::vector<GgufValue> arrays;  // an array of arrays

  std::string_view text(int64_t i) const {  // of a string; not always UTF-8
    const int64_t begin = i == 0 ? 0 : ends[static_cast<size_t>(i - 1)];
    const auto size = static_cast<size_t>(ends[static_cast<size_t>(i)] - begin);
    return {reinterpret_cast<const char*>(bytes.data()) + begin, size};
  }
};

struct GgufEntry {
  std::string name;
  GgufValue value;
};

struct GgufTensor {
  std::string name;
  const GgmlTypeInfo* type = nullptr;
  std::vector<int64_t> shape;  // rows first, as in NumPy: the reverse of the order in the file
  int64_t elements = 1;
  arrow::FileRange bytes;  // of the file, inside it

  int64_t blocks() const { return elements / type->block_elements; }
};

// A GGUF file of version 2 or 3, little-endian: header | metadata | descriptions of tensors | their bytes.
//
// Opening reads all but the bytes of the tensors into private memory and checks it whole
// (docs/formats/gguf.md); the tensors are mapped and stay untouched until used.
class GgufFile {
 public:
  static constexpr int64_t kHeadLimit = 64 << 20;  // bytes before the tensors
  static constexpr int64_t kNameLimit = 65535;
  static constexpr int kNestingLimit = 4;
  static constexpr int64_t kNestedArrayLimit = 1 << 16;
  static constexpr uint32_t kRankLimit = 4;
  static constexpr int64_t kAlignmentLimit = 1 << 16;

  // Throws Error(kIntegrity) for a damaged file, Error(kWeight) for one of another version or byte order, or
  // that cannot be opened.
  static std::shared_ptr<const GgufFile> open(const std::string& path);

  const std::shared_ptr<const arrow::MappedFile>& mapping() const { return mapping_; }
  int64_t version() const { return version_; }
  int64_t alignment() const { return alignment_; }
  const std::vector<GgufEntry>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  // Throws Error(kWeight) when there is none.
  const GgufTensor& tensor(std::string_view name) const;

 private:
  class Cursor;

  explicit GgufFile(std::shared_ptr<const arrow::MappedFile> mapping) : mapping_(std::move(mapping)) {}
  void read();
  void read_metadata(Cursor& cursor, int64_t count);
  void read_alignment(Cursor& cursor);
  void read_tensors(Cursor& cursor, int64_t count);
  void check_places(const Cursor& cursor, int64_t room) const;

  std::shared_ptr<const arrow::MappedFile> mapping_;
  int64_t version_ = 0;
  int64_t alignment_ = 32;
  std::vector<GgufEntry> metadata_;
  std::vector<GgufTensor> tensors_;
  NameIndex keys_;
  NameIndex names_;
};

}  // namespace arrowmind::interchange
