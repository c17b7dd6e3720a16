#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace arrowmind::arrow {

// A regular file mapped read-only, of the size it had when it was opened.
//
// The mapping outlives the name: a file replaced by rename stays readable. A file truncated in place does
// not: touching a page past its new end raises SIGBUS. ArrowMind never changes a published file, it writes a
// new one and renames it over the old.
class MappedFile {
 public:
  // Throws Error(kWeight) when the file cannot be opened, is not a regular file, or cannot be mapped.
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  virtual ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }  // for messages: bytes that are not UTF-8 show as '?'
  int64_t size() const { return size_; }
  // Null for an empty file. Touching a byte makes its neighbourhood resident.
  const uint8_t* data() const { return data_; }

  // Pages of a range that were touched stop being this process's; touching them again brings them back.
  // Throws Error(kInvalidArgument) for a range outside of the file.
  void forget_pages(int64_t offset, int64_t size) const;

  // Lets the disk begin to read [offset, offset + size), a range of the file, which is touched soon.
  void will_need(int64_t offset, int64_t size) const;

  // Has the system read what it can of ranges of the file, in their order; nothing depends on it. One
  // request waits for the disk at a time, so that those of others wait for milliseconds: its scheduler may
  // sort a file that lies far away behind all that is asked for. Throws Error(kInvalidArgument) for a range
  // outside of the file.
  void read_ahead(const std::vector<std::pair<int64_t, int64_t>>& ranges) const;

  // The same for one range that lies inside the file. False where it cannot be read: who needs it says why.
  bool bring(int64_t offset, int64_t size) const;

  // Copies [offset, offset + size) to private memory without touching the mapping. The caller has checked
  // that the range lies inside the file. Throws Error(kIntegrity) when the file has become shorter.
  std::vector<uint8_t> read(int64_t offset, int64_t size) const;
  // The same to memory of the caller.
  void read_to(int64_t offset, int64_t size, void* to) const;
  // Whether a range of the file is in memory, so that touching it waits for no disk. True where the system
  // does not tell.
  bool is_resident(int64_t offset, int64_t size) const;

  // The file that bytes in memory are a mapping of, and where in it they are; nothing for other memory. Who
  // asks keeps the mapping. Safe from several threads.
  struct Part {
    const MappedFile* file;
    int64_t offset;
  };
  static std::optional<Part> find(const void* address, int64_t bytes);
  // The whole pages that hold some bytes.
  struct Pages {
    const void* begin;
    int64_t bytes;
  };
  static Pages pages(const void* address, int64_t bytes);

 protected:
  MappedFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  // A descriptor of the file at `path`. Throws Error(kWeight).
  static int open_descriptor(const std::string& path);
  // Finds out the size. Throws Error(kWeight) unless it is a regular file.
  void examine();

  std::string path_;
  int descriptor_;
  int64_t size_ = 0;
  const uint8_t* data_ = nullptr;  // size_ bytes of address space, given back with this

 private:
  void map();
  void check_range(int64_t offset, int64_t size) const;
  // Whether reading a range waits for no disk, as far as samples of it say.
  bool is_cached(int64_t offset, int64_t size) const;
};

}  // namespace arrowmind::arrow
