#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/column.h"
#include "arrow/mapped_file.h"
#include "arrow/schema.h"

namespace arrowmind::arrow {

class ArrowFile;

// One record batch: columns in the order of the schema. Keeps its file, and so the mapping, alive.
struct Batch {
  std::shared_ptr<const ArrowFile> file;
  int64_t index = 0;
  int64_t length = 0;
  std::vector<Column> columns;

  const std::shared_ptr<const MappedFile>& mapping() const;
  const Schema& schema() const;
  // Throws Error(kWeight) for a name the schema does not have, or has twice.
  const Column& column(std::string_view name) const;
};

// An Arrow IPC file, format version 1.0 (metadata V4 and V5), uncompressed, without dictionaries.
//
// Opening reads the footer into private memory and validates it together with the place of every batch; the
// metadata of a batch is read when the batch is asked for. The bodies are mapped and stay untouched until
// used.
class ArrowFile : public std::enable_shared_from_this<ArrowFile> {
 public:
  // Throws Error(kWeight) for files this reader does not serve, Error(kIntegrity) for damaged ones.
  static std::shared_ptr<const ArrowFile> open(const std::string& path);

  const std::shared_ptr<const MappedFile>& mapping() const { return mapping_; }
  const Schema& schema() const { return schema_; }
  int64_t batch_count() const { return static_cast<int64_t>(blocks_.size()); }
  // Throws Error(kInvalidArgument) for an index outside [0, batch_count).
  Batch batch(int64_t index) const;
  // File offset of the section with the Merkle tree, -1 for a file without.
  int64_t tree_offset() const { return tree_offset_; }
  int64_t footer_offset() const { return footer_offset_; }
  // Where the metadata of a batch lie, and the small buffers of its columns: everything but the values of
  // binary columns.
  std::vector<FileRange> index_ranges(const Batch& batch) const;

 private:
  struct Block {
    int64_t offset;
    int64_t metadata_size;  // with its 8-byte prefix
    int64_t body_size;
    int64_t end() const { return offset + metadata_size + body_size; }
  };

  explicit ArrowFile(std::shared_ptr<const MappedFile> mapping) : mapping_(std::move(mapping)) {}
  void read_footer();
  void read_blocks(const flatbuffer::Table& footer, int64_t limit);
  void read_tree_offset(const flatbuffer::Table& footer);
  void check_blocks(const flatbuffer::Buffer& footer, int64_t limit) const;
  std::string describe(int64_t batch) const;

  std::shared_ptr<const MappedFile> mapping_;
  Schema schema_;
  std::vector<Block> blocks_;
  int64_t tree_offset_ = -1;
  int64_t footer_offset_ = 0;
};

}  // namespace arrowmind::arrow
