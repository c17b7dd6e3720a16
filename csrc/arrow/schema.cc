#include "arrow/schema.h"

#include <array>

namespace arrowmind::arrow {
namespace {

using flatbuffer::Table;
using flatbuffer::Vector;

constexpr int kMaxNesting = 8;

constexpr std::array<TypeInfo, 20> kTypes = {{
    {TypeId::kBool, "bool", "b", Layout::kBits, 0, 0},
    {TypeId::kInt8, "int8", "c", Layout::kFixed, 1, 0},
    {TypeId::kInt16, "int16", "s", Layout::kFixed, 2, 0},
    {TypeId::kInt32, "int32", "i", Layout::kFixed, 4, 0},
    {TypeId::kInt64, "int64", "l", Layout::kFixed, 8, 0},
    {TypeId::kUInt8, "uint8", "C", Layout::kFixed, 1, 0},
    {TypeId::kUInt16, "uint16", "S", Layout::kFixed, 2, 0},
    {TypeId::kUInt32, "uint32", "I", Layout::kFixed, 4, 0},
    {TypeId::kUInt64, "uint64", "L", Layout::kFixed, 8, 0},
    {TypeId::kFloat16, "float16", "e", Layout::kFixed, 2, 0},
    {TypeId::kFloat32, "float32", "f", Layout::kFixed, 4, 0},
    {TypeId::kFloat64, "float64", "g", Layout::kFixed, 8, 0},
    {TypeId::kTimestamp, "timestamp", "tsu:", Layout::kFixed, 8, 0},
    {TypeId::kUtf8, "utf8", "u", Layout::kVariable, 0, 4},
    {TypeId::kLargeUtf8, "large_utf8", "U", Layout::kVariable, 0, 8},
    {TypeId::kBinary, "binary", "z", Layout::kVariable, 0, 4},
    {TypeId::kLargeBinary, "large_binary", "Z", Layout::kVariable, 0, 8},
    {TypeId::kFixedSizeBinary, "fixed_size_binary", "w:", Layout::kFixed, 0, 0},
    {TypeId::kList, "list", "+l", Layout::kList, 0, 4},
    {TypeId::kFixedSizeList, "fixed_size_list", "+w:", Layout::kFixedList, 0, 0},
}};

// Names of Arrow's Type union, for messages about the ones not served here.
constexpr std::array<std::string_view, 27> kArrowTypes = {
    "none",
    "null",
    "int",
    "float",
    "binary",
    "utf8",
    "bool",
    "decimal",
    "date",
    "time",
    "timestamp",
    "interval",
    "list",
    "struct",
    "union",
    "fixed_size_binary",
    "fixed_size_list",
    "map",
    "duration",
    "large_binary",
    "large_utf8",
    "large_list",
    "run_end_encoded",
    "binary_view",
    "utf8_view",
    "list_view",
    "large_list_view",
};

[[noreturn]] void not_served(const Table& at, const Field& field, std::string_view type) {
  fail(ErrorKind::kWeight, at.buffer().what, ": column '", field.name, "' has type ", type,
       ", which is not served; rewrite it as a number, text, binary or list column");
}

TypeId int_type(const Table& at, const Field& field, const Table& type) {
  const int bits = type.scalar<int32_t>(0, 0);
  const bool is_signed = type.scalar<uint8_t>(1, 0) != 0;
  switch (bits) {
    case 8:
      return is_signed ? TypeId::kInt8 : TypeId::kUInt8;
    case 16:
      return is_signed ? TypeId::kInt16 : TypeId::kUInt16;
    case 32:
      return is_signed ? TypeId::kInt32 : TypeId::kUInt32;
    case 64:
      return is_signed ? TypeId::kInt64 : TypeId::kUInt64;
    default:
      not_served(at, field, cat("int of ", bits, " bits"));
  }
}

TypeId float_type(const Table& at, const Field& field, const Table& type) {
  const int precision = type.scalar<int16_t>(0, 0);
  switch (precision) {
    case 0:
      return TypeId::kFloat16;
    case 1:
      return TypeId::kFloat32;
    case 2:
      return TypeId::kFloat64;
    default:
      not_served(at, field, cat("float of precision ", precision));
  }
}

void parse_timestamp(const Table& at, const Table& type, Field* field) {
  constexpr int kMicrosecond = 2;
  const int unit = type.scalar<int16_t>(0, 0);
  if (unit != kMicrosecond) not_served(at, *field, cat("timestamp of unit ", unit, ", not microseconds"));
  field->timezone = type.string(1);
}

// A width of 0 would let a column of any length fit in no bytes.
int32_t parse_width(const Table& at, const Table& type, const Field& field) {
  const int32_t width = type.scalar<int32_t>(0, 0);
  if (width <= 0) at.buffer().damaged(cat("column '", field.name, "' has values of width ", width));
  return width;
}

void parse_type(const Table& at, Field* field) {
  const uint8_t id = at.scalar<uint8_t>(2, 0);
  const Table type = at.required_table(3, "type");
  switch (id) {
    case 2:
      field->type = int_type(at, *field, type);
      break;
    case 3:
      field->type = float_type(at, *field, type);
      break;
    case 4:
      field->type = TypeId::kBinary;
      break;
    case 5:
      field->type = TypeId::kUtf8;
      break;
    case 6:
      field->type = TypeId::kBool;
      break;
    case 10:
      field->type = TypeId::kTimestamp;
      parse_timestamp(at, type, field);
      break;
    case 12:
      field->type = TypeId::kList;
      break;
    case 15:
      field->type = TypeId::kFixedSizeBinary;
      field->width = parse_width(at, type, *field);
      break;
    case 16:
      field->type = TypeId::kFixedSizeList;
      field->width = parse_width(at, type, *field);
      break;
    case 19:
      field->type = TypeId::kLargeBinary;
      break;
    case 20:
      field->type = TypeId::kLargeUtf8;
      break;
    default:
      not_served(at, *field, id < kArrowTypes.size() ? kArrowTypes[id] : cat("number ", +id));
  }
}

}  // namespace

KeyValues parse_metadata(const Table& table, int slot) {
  KeyValues pairs;
  const Vector entries = table.tables(slot);
  for (int64_t i = 0; i < entries.count; ++i) {
    const Table pair = table.element(entries, i);
    pairs.emplace_back(pair.string(0), pair.string(1));
  }
  return pairs;
}

namespace {

std::vector<Field> parse_fields(const Table& table, int slot, int depth);

Field parse_field(const Table& table, int depth) {
  Field field;
  field.name = table.string(0);
  if (depth > kMaxNesting) table.buffer().damaged(cat("lists are nested deeper than ", kMaxNesting));
  if (table.has(4)) {
    fail(ErrorKind::kWeight, table.buffer().what, ": column '", field.name,
         "' is dictionary-encoded, which is not served; rewrite it with plain values");
  }
  field.nullable = table.scalar<uint8_t>(1, 0) != 0;
  parse_type(table, &field);
  field.children = parse_fields(table, 5, depth + 1);
  const Layout layout = field.info().layout;
  const size_t wanted = layout == Layout::kList || layout == Layout::kFixedList ? 1 : 0;
  if (field.children.size() != wanted) {
    table.buffer().damaged(cat("column '", field.name, "' of type ", field.info().name, " has ",
                               field.children.size(), " children"));
  }
  field.metadata = parse_metadata(table, 6);
  return field;
}

std::vector<Field> parse_fields(const Table& table, int slot, int depth) {
  std::vector<Field> fields;
  const Vector entries = table.tables(slot);
  for (int64_t i = 0; i < entries.count; ++i) fields.push_back(parse_field(table.element(entries, i), depth));
  return fields;
}

}  // namespace

const TypeInfo& type_info(TypeId id) {
  return kTypes[static_cast<size_t>(id)];
}

std::string Field::type_name() const {
  const std::string base(info().name);
  switch (type) {
    case TypeId::kTimestamp:
      return base + (timezone.empty() ? "[us]" : "[us, tz=" + timezone + "]");
    case TypeId::kFixedSizeBinary:
      return cat(base, "<", width, ">");
    case TypeId::kList:
      return cat(base, "<", children[0].type_name(), ">");
    case TypeId::kFixedSizeList:
      return cat(base, "<", children[0].type_name(), ", ", width, ">");
    default:
      return base;
  }
}

Schema parse_schema(const Table& table) {
  if (table.scalar<int16_t>(0, 0) != 0) {
    fail(ErrorKind::kWeight, table.buffer().what, ": is big-endian; rewrite it on a little-endian machine");
  }
  Schema schema;
  schema.fields = parse_fields(table, 1, 0);
  schema.metadata = parse_metadata(table, 2);
  return schema;
}

}  // namespace arrowmind::arrow
