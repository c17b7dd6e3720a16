#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "arrow/mapped_file.h"

namespace arrowmind::arrow {

// A file with an address for every byte, and memory for those pages only that were loaded.
//
// Pointers into it hold for its life, so whoever computes with them need not know that pages come and go. A
// page that is not loaded cannot be read: touching one is a fault (SIGSEGV), never a wrong number. Memory is
// private to the process: unlike that of a mapping it is there exactly as long as it was asked for.
class OnDemandFile : public MappedFile {
 public:
  static constexpr int64_t kPage = 4096;

  // `direct`: read past the page cache (O_DIRECT) where the file system can. Throws Error(kWeight).
  static std::shared_ptr<const OnDemandFile> open(const std::string& path, bool direct);
  ~OnDemandFile() override;

  // Whether reads go past the page cache.
  bool is_direct() const { return direct_ >= 0; }

  // Loads or gives back whole pages: both bounds are multiples of kPage, the end may lie behind the file's.
  // Calls for disjoint ranges may run at once. load() throws Error(kIntegrity) when the file has become
  // shorter or cannot be read, and leaves nothing loaded.
  void load(int64_t begin, int64_t end) const;
  void drop(int64_t begin, int64_t end) const;
  // Reads whole pages to memory of the caller, which begins at a multiple of kPage; bounds and errors as
  // load().
  void read(int64_t begin, int64_t end, uint8_t* to) const;
  // Loaded pages that can be read no longer, though their memory is still there.
  void hide(int64_t begin, int64_t end) const;
  // Hands memory to pages that have none; what it holds is undefined until they are loaded. The memory is
  // that of hidden pages, or with `is_own` that of a mapping of the caller, which ends. False where the
  // system cannot: the pages have no memory, as before, and the caller keeps it.
  bool take(uint8_t* memory, int64_t bytes, int64_t begin, bool is_own) const;
  uint8_t* address(int64_t offset) const { return at(offset); }

 private:
  OnDemandFile(std::string path, int descriptor) : MappedFile(std::move(path), descriptor) {}
  void reserve();
  void open_direct(const std::string& path);
  void fill(int64_t begin, int64_t end, uint8_t* to) const;
  void protect(int64_t begin, int64_t end, int protection) const;
  uint8_t* at(int64_t offset) const { return const_cast<uint8_t*>(data_) + offset; }

  int direct_ = -1;
  bool past_cache_ = false;
};

}  // namespace arrowmind::arrow
