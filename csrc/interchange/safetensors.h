#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow/column.h"
#include "arrow/mapped_file.h"
#include "interchange/json.h"
#include "interchange/layout.h"

namespace arrowmind::interchange {

struct SafetensorsTensor {
  std::string name;
  std::string_view dtype;  // "F32", "BF16" ...: of a table in static memory
  std::vector<int64_t> shape;
  arrow::FileRange bytes;  // of the file, inside it; row-major, little-endian
};

// A safetensors file: uint64 size of the header | header, JSON | bytes of the tensors, without gaps.
//
// Opening reads the header into private memory and checks it whole (docs/formats/safetensors.md); the tensors
// are mapped and stay untouched until used.
class SafetensorsFile {
 public:
  static constexpr int64_t kHeaderLimit = 100'000'000;
  static constexpr size_t kRankLimit = 32;

  // Throws Error(kIntegrity) for a damaged file, Error(kWeight) for one that cannot be opened.
  static std::shared_ptr<const SafetensorsFile> open(const std::string& path);

  const std::shared_ptr<const arrow::MappedFile>& mapping() const { return mapping_; }
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }
  const std::vector<SafetensorsTensor>& tensors() const { return tensors_; }  // in the order of the header
  // Throws Error(kWeight) when there is none.
  const SafetensorsTensor& tensor(std::string_view name) const;

 private:
  explicit SafetensorsFile(std::shared_ptr<const arrow::MappedFile> mapping) : mapping_(std::move(mapping)) {}
  void read_header();
  void read_metadata(JsonReader& json);
  SafetensorsTensor read_tensor(JsonReader& json, std::string name) const;
  void check_places(int64_t data_start) const;

  std::shared_ptr<const arrow::MappedFile> mapping_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  std::vector<SafetensorsTensor> tensors_;
  NameIndex index_;
};

}  // namespace arrowmind::interchange
