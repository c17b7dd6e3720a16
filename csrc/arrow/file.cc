#include "arrow/file.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "arrow/batch.h"
#include "arrow/flatbuffer.h"
#include "arrow/hash_tree.h"
#include "arrow/utf8.h"
#include "base/checked.h"

// Layout: "ARROW1" 0 0 | schema message | batches | end marker | hash tree, if any | footer | int32 footer
// size | "ARROW1" Message: 0xffffffff | int32 metadata size | flatbuffer, padded | body, padded
namespace arrowmind::arrow {
namespace {

using flatbuffer::Buffer;
using flatbuffer::Table;
using flatbuffer::Vector;

constexpr std::string_view kMagic = "ARROW1";
constexpr int64_t kHeadBytes = 8;      // magic, padded
constexpr int64_t kTailBytes = 4 + 6;  // footer size, magic
constexpr int64_t kPrefixBytes = 8;    // continuation marker, metadata size
constexpr int64_t kBlockBytes = 24;  // int64 offset, int32 metadata size, 4 bytes of padding, int64 body size
constexpr int64_t kMetadataLimit = 64 << 20;
constexpr int kRecordBatch = 3;  // of the union MessageHeader
constexpr int kMetadataV4 = 3;
constexpr int kMetadataV5 = 4;

template <typename T>
T load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

bool is_magic(const uint8_t* bytes) {
  return std::memcmp(bytes, kMagic.data(), kMagic.size()) == 0;
}

void check_version(const Buffer& buffer, int version) {
  if (version != kMetadataV4 && version != kMetadataV5) {
    fail(ErrorKind::kWeight, buffer.what, ": has Arrow metadata version ", version,
         " (4 is current); rewrite it with a current Arrow");
  }
}

void add_index_ranges(const Column& column, std::vector<FileRange>* ranges) {
  const bool is_binary = column.field->type == TypeId::kBinary || column.field->type == TypeId::kLargeBinary;
  ranges->insert(ranges->end(), {column.validity, column.offsets});
  if (!is_binary) ranges->push_back(column.values);
  for (const Column& child : column.children) add_index_ranges(child, ranges);
}

}  // namespace

std::shared_ptr<const ArrowFile> ArrowFile::open(const std::string& path) {
  const std::shared_ptr<ArrowFile> file(new ArrowFile(MappedFile::open(path)));
  file->read_footer();
  return file;
}

std::string ArrowFile::describe(int64_t batch) const {
  return cat(mapping_->path(), ": batch ", batch);
}

void ArrowFile::read_footer() {
  const int64_t size = mapping_->size();
  const std::string& path = mapping_->path();
  if (size < kHeadBytes + kTailBytes) {
    fail(ErrorKind::kIntegrity, path, ": has ", size,
         " bytes, too few for an Arrow file; restore or rewrite it");
  }
  if (!is_magic(mapping_->read(0, kHeadBytes).data())) {
    fail(ErrorKind::kIntegrity, path, ": is not an Arrow IPC file (it does not begin with ARROW1)");
  }
  const std::vector<uint8_t> tail = mapping_->read(size - kTailBytes, kTailBytes);
  if (!is_magic(tail.data() + 4)) {
    fail(ErrorKind::kIntegrity, path, ": is truncated (it does not end with ARROW1); restore or rewrite it");
  }
  const int64_t footer_size = load<int32_t>(tail.data());
  const int64_t room = size - kHeadBytes - kTailBytes;
  if (footer_size <= 0 || footer_size > std::min(room, kMetadataLimit)) {
    fail(ErrorKind::kIntegrity, path, ": declares a footer of ", footer_size, " bytes, at most ",
         std::min(room, kMetadataLimit), " are possible; restore or rewrite it");
  }
  const int64_t footer_start = size - kTailBytes - footer_size;
  const std::vector<uint8_t> bytes = mapping_->read(footer_start, footer_size);
  const Buffer buffer(bytes.data(), footer_size, path + ": footer");
  const Table footer = Table::root(buffer);
  check_version(buffer, footer.scalar<int16_t>(0, 0));
  schema_ = parse_schema(footer.required_table(1, "schema"));
  if (footer.vector(2, kBlockBytes, 8).count > 0) {
    fail(ErrorKind::kWeight, path, ": has dictionaries, which are not served; rewrite it with plain values");
  }
  footer_offset_ = footer_start;
  read_tree_offset(footer);
  read_blocks(footer, tree_offset_ < 0 ? footer_start : tree_offset_);
}

// Metadata of the footer, which other readers ignore.
void ArrowFile::read_tree_offset(const Table& footer) {
  for (const auto& [key, value] : parse_metadata(footer, 4)) {
    if (key != kHashTreeKey) continue;
    const char* end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, tree_offset_);
    if (error != std::errc() || stop != end || tree_offset_ < kHeadBytes || tree_offset_ > footer_offset_) {
      footer.buffer().damaged(cat("its hash tree lies at '", printable(value), "'"));
    }
    return;
  }
}

void ArrowFile::read_blocks(const Table& footer, int64_t limit) {
  const Buffer& buffer = footer.buffer();
  const Vector blocks = footer.vector(3, kBlockBytes, 8);
  blocks_.reserve(static_cast<size_t>(blocks.count));
  for (int64_t i = 0; i < blocks.count; ++i) {
    const int64_t position = blocks.position + kBlockBytes * i;
    blocks_.push_back({buffer.read<int64_t>(position), buffer.read<int32_t>(position + 8),
                       buffer.read<int64_t>(position + 16)});
  }
  check_blocks(buffer, limit);
}

// Every batch lies between the head and the footer, and no two share a byte.
void ArrowFile::check_blocks(const Buffer& footer, int64_t limit) const {
  std::vector<Block> blocks = blocks_;
  std::sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) { return a.offset < b.offset; });
  int64_t free_from = kHeadBytes;
  for (const Block& block : blocks) {
    const bool sound = block.offset >= free_from && block.offset % 8 == 0 &&
                       block.metadata_size > kPrefixBytes && block.metadata_size % 8 == 0 &&
                       block.metadata_size <= kMetadataLimit &&
                       range_fits(block.offset, block.metadata_size, limit) &&
                       range_fits(block.offset + block.metadata_size, block.body_size, limit);
    if (!sound) {
      footer.damaged(cat("a batch at ", block.offset, " of ", block.metadata_size, " + ", block.body_size,
                         " bytes overlaps another or leaves the file's ", limit, " bytes of batches"));
    }
    free_from = block.end();
  }
}

Batch ArrowFile::batch(int64_t index) const {
  if (index < 0 || index >= batch_count()) {
    fail(ErrorKind::kInvalidArgument, mapping_->path(), ": has no batch ", index, ", it has ", batch_count());
  }
  const Block& block = blocks_[static_cast<size_t>(index)];
  const std::vector<uint8_t> bytes = mapping_->read(block.offset, block.metadata_size);
  const Buffer buffer(bytes.data() + kPrefixBytes, block.metadata_size - kPrefixBytes, describe(index));
  if (load<uint32_t>(bytes.data()) != 0xffffffffu) buffer.damaged("its message has no continuation marker");
  if (load<int32_t>(bytes.data() + 4) != buffer.size) {
    buffer.damaged(cat("its message declares ", load<int32_t>(bytes.data() + 4),
                       " bytes of metadata, the footer ", buffer.size));
  }
  const Table message = Table::root(buffer);
  check_version(buffer, message.scalar<int16_t>(0, 0));
  if (message.scalar<uint8_t>(1, 0) != kRecordBatch) buffer.damaged("its message is not a record batch");
  if (message.scalar<int64_t>(3, 0) != block.body_size) {
    buffer.damaged(cat("its message declares a body of ", message.scalar<int64_t>(3, 0),
                       " bytes, the footer ", block.body_size));
  }
  const Table header = message.required_table(2, "record batch");
  const FileRange body = {block.offset + block.metadata_size, block.body_size};
  return {shared_from_this(), index, parse_length(header), parse_columns(header, schema_, body)};
}

std::vector<FileRange> ArrowFile::index_ranges(const Batch& batch) const {
  const Block& block = blocks_[static_cast<size_t>(batch.index)];
  std::vector<FileRange> ranges = {{block.offset, block.metadata_size}};
  for (const Column& column : batch.columns) add_index_ranges(column, &ranges);
  return ranges;
}

const std::shared_ptr<const MappedFile>& Batch::mapping() const {
  return file->mapping();
}

const Schema& Batch::schema() const {
  return file->schema();
}

const Column& Batch::column(std::string_view name) const {
  const Column* found = nullptr;
  std::string names;
  for (const Column& candidate : columns) {
    names += (names.empty() ? "" : ", ") + candidate.field->name;
    if (candidate.field->name != name) continue;
    if (found != nullptr) fail(ErrorKind::kWeight, mapping()->path(), ": has two columns '", name, "'");
    found = &candidate;
  }
  if (found == nullptr) {
    fail(ErrorKind::kWeight, mapping()->path(), ": has no column '", printable(name), "', it has ", names);
  }
  return *found;
}

}  // namespace arrowmind::arrow
