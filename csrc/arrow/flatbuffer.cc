#include "arrow/flatbuffer.h"

#include "arrow/utf8.h"
#include "base/checked.h"

namespace arrowmind::arrow::flatbuffer {

void Buffer::check(int64_t position, int64_t length, int64_t alignment) const {
  if (!range_fits(position, length, size)) damaged("metadata points outside itself");
  if (position % alignment != 0) damaged("metadata is not aligned");
}

Table Table::root(const Buffer& buffer) {
  return {buffer, buffer.read<uint32_t>(0)};
}

Table::Table(const Buffer& buffer, int64_t position) : buffer_(&buffer), position_(position) {
  if (--buffer.tables_left < 0) buffer.damaged("metadata has more parts than any sound file");
  vtable_ = position - buffer.read<int32_t>(position);
  vtable_size_ = buffer.read<uint16_t>(vtable_);
  if (vtable_size_ < 4) buffer.damaged("a metadata table is too short");
  buffer.check(vtable_, vtable_size_, 2);
  size_ = buffer.read<uint16_t>(vtable_ + 2);
  if (size_ < 4) buffer.damaged("a metadata table is too short");
  buffer.check(position, size_, 4);
}

int64_t Table::field(int slot, int64_t size) const {
  const int64_t entry = 4 + 2 * static_cast<int64_t>(slot);
  if (entry + 2 > vtable_size_) return -1;
  const int64_t offset = buffer_->read<uint16_t>(vtable_ + entry);
  if (offset == 0) return -1;
  if (offset < 4 || offset + size > size_) buffer_->damaged("a metadata field lies outside its table");
  return position_ + offset;
}

std::optional<Table> Table::table(int slot) const {
  const int64_t position = field(slot, 4);
  if (position < 0) return std::nullopt;
  return Table(*buffer_, follow(position));
}

Table Table::required_table(int slot, std::string_view name) const {
  const std::optional<Table> found = table(slot);
  if (!found) buffer_->damaged(cat("metadata lacks its ", name));
  return *found;
}

std::string Table::string(int slot) const {
  const Vector characters = vector(slot, 1, 1);
  if (characters.count == 0) return {};
  buffer_->text_left -= characters.count;
  if (buffer_->text_left < 0) buffer_->damaged("metadata has more text than any sound file");
  const std::string text(reinterpret_cast<const char*>(buffer_->data + characters.position),
                         static_cast<size_t>(characters.count));
  if (!is_utf8(text)) buffer_->damaged("metadata has text that is not UTF-8");
  return text;
}

Vector Table::vector(int slot, int64_t item_bytes, int64_t alignment) const {
  const int64_t position = field(slot, 4);
  if (position < 0) return {};
  const int64_t start = follow(position);
  const int64_t count = buffer_->read<uint32_t>(start);
  const int64_t first = start + 4;
  if (count > 0) buffer_->check(first, count * item_bytes, alignment);
  return {first, count};
}

Table Table::element(const Vector& tables, int64_t index) const {
  return {*buffer_, follow(tables.position + 4 * index)};
}

}  // namespace arrowmind::arrow::flatbuffer
