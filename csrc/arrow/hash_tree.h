#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/column.h"
#include "arrow/mapped_file.h"
#include "base/sha256.h"
#include "base/thread_pool.h"

// The Merkle tree of an Arrow file (docs/formats/merkle.md): a section between the last batch and the footer
// with one SHA-256 per chunk of 64 KiB of all other bytes, and their root.
namespace arrowmind::arrow {

// Footer metadata key whose value is the file offset of the section, in decimal.
constexpr std::string_view kHashTreeKey = "arrowmind.tree";

// The tree of an open file. Chunks are compared with their hashes when they are first asked for, and only
// then.
class HashTree {
 public:
  // Reads the section [offset, footer) and compares its hashes with its root and the chunks of the footer
  // with their hashes. Throws Error(kIntegrity) where it is not what a writer makes.
  static std::shared_ptr<const HashTree> open(std::shared_ptr<const MappedFile> file, int64_t offset,
                                              int64_t footer);

  const Digest& root() const { return root_; }
  int64_t data_bytes() const { return data_bytes_; }
  // Chunks hashed so far; each is hashed once, whoever asks and how often.
  int64_t hashed_chunks() const { return hashed_.load(); }

  // Compares every chunk that holds a byte of `ranges` and was not compared before. Bytes are read through
  // the mapping, or beside it where `is_private`, which leaves no page of it resident. Throws
  // Error(kIntegrity) naming `what` and the chunk.
  void verify(const std::vector<FileRange>& ranges, std::string_view what, bool is_private = false) const;
  // Hashes the chunks under `ranges` with the threads of a pool. What is damaged is for verify() to tell.
  void touch(const std::vector<FileRange>& ranges, ThreadPool& pool) const;
  // The same for memory of the mapping. Throws Error(kInvalidArgument) for other memory.
  void verify(const void* data, int64_t size, std::string_view what) const;
  // Whether verify() of this memory of the mapping would find nothing left to do.
  bool is_verified(const void* data, int64_t size) const;
  // Where memory of the mapping lies in the file. Throws Error(kInvalidArgument) for other memory.
  FileRange range_of(const void* data, int64_t size) const;

 private:
  using Clock = std::chrono::steady_clock;
  enum State : uint8_t { kUnknown, kClaimed, kSound, kDamaged };

  HashTree(std::shared_ptr<const MappedFile> file, int64_t data_bytes, int64_t footer);
  void read_section();
  int64_t chunk_begin(int64_t chunk) const;
  int64_t chunk_size(int64_t chunk) const;
  std::vector<int64_t> chunks_of(const std::vector<FileRange>& ranges) const;
  std::vector<int64_t> claim(const std::vector<int64_t>& chunks) const;
  void hash(const std::vector<int64_t>& chunks, bool is_private, ThreadPool* pool = nullptr) const;
  void add_ranges(const int64_t* chunks, int64_t count, std::vector<FileRange>& ranges) const;
  void hash_group(const int64_t* chunks, int64_t count, bool is_private) const;
  void wait(int64_t chunk, Clock::time_point deadline, bool is_private) const;
  [[noreturn]] void damaged(std::string_view what) const;

  std::shared_ptr<const MappedFile> file_;
  int64_t data_bytes_;  // before the section
  int64_t footer_;      // offset of the footer, behind the section
  int64_t data_chunks_;
  std::vector<Digest> leaves_;
  Digest root_{};
  std::unique_ptr<std::atomic<uint8_t>[]> states_;
  mutable std::atomic<int64_t> hashed_ = 0;
};

// Makes the section while a file is written.
class HashTreeBuilder {
 public:
  // The next bytes of the file.
  void update(const uint8_t* data, int64_t size);
  int64_t position() const { return position_; }
  // The section, which belongs at position(), a multiple of 64.
  // `rest` is all that follows it: footer, its size, magic.
  std::vector<uint8_t> section(const uint8_t* rest, int64_t size);
  const Digest& root() const { return root_; }  // of the last section()

 private:
  std::vector<Digest> leaves_;
  std::vector<uint8_t> partial_;
  int64_t position_ = 0;
  Digest root_{};
};

}  // namespace arrowmind::arrow
