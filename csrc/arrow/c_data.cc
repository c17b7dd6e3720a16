#include "arrow/c_data.h"

#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace arrowmind::arrow {
namespace {

// Each exported struct owns its own node: strings or buffer lists, and the slots of its children.

struct SchemaNode {
  std::string format;
  std::string name;
  std::string metadata;
  std::deque<ArrowSchema> children;
  std::vector<ArrowSchema*> pointers;
};

struct ArrayNode {
  std::shared_ptr<const void> owner;  // of what the buffers are
  std::vector<const void*> buffers;
  std::deque<ArrowArray> children;
  std::vector<ArrowArray*> pointers;
};

// Children that were moved out have a null release and are left to their new owner.
template <typename Node, typename Struct>
void release(Struct* exported) {
  for (int64_t i = 0; i < exported->n_children; ++i) {
    Struct* child = exported->children[i];
    if (child->release != nullptr) child->release(child);
  }
  delete static_cast<Node*>(exported->private_data);
  exported->release = nullptr;
}

void append_int(std::string* bytes, size_t value) {
  const int32_t number = static_cast<int32_t>(value);
  bytes->append(reinterpret_cast<const char*>(&number), sizeof(number));
}

// int32 count, then for each pair: int32 size, key, int32 size, value.
std::string encode_metadata(const KeyValues& pairs) {
  std::string bytes;
  if (pairs.empty()) return bytes;
  append_int(&bytes, pairs.size());
  for (const auto& [key, value] : pairs) {
    append_int(&bytes, key.size());
    bytes += key;
    append_int(&bytes, value.size());
    bytes += value;
  }
  return bytes;
}

std::string format_of(const Field& field) {
  std::string format(field.info().format);
  if (field.type == TypeId::kTimestamp) format += field.timezone;
  if (field.type == TypeId::kFixedSizeBinary || field.type == TypeId::kFixedSizeList) {
    format += std::to_string(field.width);
  }
  return format;
}

void fill_schema(const std::string& format, const std::string& name, bool nullable, const KeyValues& metadata,
                 const std::vector<Field>& children, ArrowSchema* out) {
  auto node = std::make_unique<SchemaNode>();
  node->format = format;
  node->name = name;
  node->metadata = encode_metadata(metadata);
  *out = {};
  out->format = node->format.c_str();
  out->name = node->name.c_str();
  out->metadata = node->metadata.empty() ? nullptr : node->metadata.data();
  out->flags = nullable ? ARROW_FLAG_NULLABLE : 0;
  out->release = &release<SchemaNode, ArrowSchema>;
  SchemaNode* owned = node.release();
  out->private_data = owned;
  for (const Field& child : children) {
    ArrowSchema* slot = &owned->children.emplace_back();
    fill_schema(format_of(child), child.name, child.nullable, child.metadata, child.children, slot);
    owned->pointers.push_back(slot);
  }
  out->n_children = static_cast<int64_t>(owned->pointers.size());
  out->children = owned->pointers.data();
}

// A buffer of no bytes still needs an address, and an empty offsets buffer still holds one offset.
const void* address(const Batch& batch, FileRange range) {
  alignas(64) static constexpr uint8_t kZeros[64] = {};
  return range.size == 0 ? kZeros : batch.mapping()->data() + range.offset;
}

void check_offsets(const Batch& batch, const Column& column) {
  if (column.field->info().offset_bytes != 0) Offsets(batch.mapping(), column);
  for (const Column& child : column.children) check_offsets(batch, child);
}

std::vector<const void*> buffers_of(const Batch& batch, const Column& column) {
  std::vector<const void*> buffers;
  buffers.push_back(column.null_count == 0 ? nullptr : address(batch, column.validity));
  switch (column.field->info().layout) {
    case Layout::kBits:
    case Layout::kFixed:
      buffers.push_back(address(batch, column.values));
      break;
    case Layout::kVariable:
      buffers.push_back(address(batch, column.offsets));
      buffers.push_back(address(batch, column.values));
      break;
    case Layout::kList:
      buffers.push_back(address(batch, column.offsets));
      break;
    case Layout::kFixedList:
      break;
  }
  return buffers;
}

// An array without children yet; the node that it owns.
ArrayNode* begin_array(std::shared_ptr<const void> owner, int64_t length, int64_t null_count,
                       std::vector<const void*> buffers, ArrowArray* out) {
  auto node = std::make_unique<ArrayNode>();
  node->owner = std::move(owner);
  node->buffers = std::move(buffers);
  *out = {};
  out->length = length;
  out->null_count = null_count;
  out->n_buffers = static_cast<int64_t>(node->buffers.size());
  out->buffers = node->buffers.data();
  out->release = &release<ArrayNode, ArrowArray>;
  ArrayNode* owned = node.release();
  out->private_data = owned;
  return owned;
}

ArrowArray* add_child(ArrayNode* node) {
  ArrowArray* slot = &node->children.emplace_back();
  node->pointers.push_back(slot);
  return slot;
}

void end_array(ArrayNode* node, ArrowArray* out) {
  out->n_children = static_cast<int64_t>(node->pointers.size());
  out->children = node->pointers.data();
}

void fill_array(const Batch& batch, int64_t length, int64_t null_count, std::vector<const void*> buffers,
                const std::vector<Column>& children, ArrowArray* out) {
  ArrayNode* owned = begin_array(batch.file, length, null_count, std::move(buffers), out);
  for (const Column& child : children) {
    fill_array(batch, child.length, child.null_count, buffers_of(batch, child), child.children,
               add_child(owned));
  }
  end_array(owned, out);
}

}  // namespace

void export_schema(const Schema& schema, ArrowSchema* out) {
  fill_schema("+s", "", false, schema.metadata, schema.fields, out);
}

void export_batch(const Batch& batch, ArrowArray* out) {
  for (const Column& column : batch.columns) check_offsets(batch, column);
  fill_array(batch, batch.length, 0, {nullptr}, batch.columns, out);
}

void export_rows_schema(int64_t columns, ArrowSchema* out) {
  Field item;
  item.name = "item";
  item.type = TypeId::kFloat32;
  fill_schema("+w:" + std::to_string(columns), "", false, {}, {item}, out);
}

void export_rows(std::shared_ptr<const void> owner, const void* data, int64_t rows, int64_t columns,
                 ArrowArray* out) {
  ArrayNode* node = begin_array(owner, rows, 0, {nullptr}, out);
  begin_array(std::move(owner), rows * columns, 0, {nullptr, data}, add_child(node));
  end_array(node, out);
}

}  // namespace arrowmind::arrow
