#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow/flatbuffer.h"

namespace arrowmind::arrow {

enum class TypeId : uint8_t {
  kBool,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUInt8,
  kUInt16,
  kUInt32,
  kUInt64,
  kFloat16,
  kFloat32,
  kFloat64,
  kTimestamp,  // int64 microseconds
  kUtf8,
  kLargeUtf8,
  kBinary,
  kLargeBinary,
  kFixedSizeBinary,
  kList,
  kFixedSizeList,
};

// How the values of a type lie in memory.
enum class Layout : uint8_t { kBits, kFixed, kVariable, kList, kFixedList };

struct TypeInfo {
  TypeId id;
  std::string_view name;    // as in Field::type_name()
  std::string_view format;  // of the Arrow C Data interface; parametric types append to it
  Layout layout;
  int item_bytes;    // kFixed: bytes of one value; kFixedSizeBinary has its own width
  int offset_bytes;  // kVariable, kList: bytes of one offset
};

const TypeInfo& type_info(TypeId id);

using KeyValues = std::vector<std::pair<std::string, std::string>>;

struct Field {
  std::string name;
  TypeId type = TypeId::kInt8;
  bool nullable = true;
  int32_t width = 0;            // kFixedSizeBinary: bytes; kFixedSizeList: values
  std::string timezone;         // kTimestamp
  std::vector<Field> children;  // one for the list types
  KeyValues metadata;

  const TypeInfo& info() const { return type_info(type); }
  // Bytes of one value of a kFixed layout.
  int64_t value_bytes() const { return type == TypeId::kFixedSizeBinary ? width : info().item_bytes; }
  // "list<int32>", "fixed_size_list<float32, 384>", "timestamp[us, tz=UTC]".
  std::string type_name() const;
};

struct Schema {
  std::vector<Field> fields;
  KeyValues metadata;
};

// Key-value pairs in a slot of a table.
KeyValues parse_metadata(const flatbuffer::Table& table, int slot);

// Fails with kIntegrity on damaged metadata, with kWeight on sound types this reader does not serve.
Schema parse_schema(const flatbuffer::Table& table);

}  // namespace arrowmind::arrow
