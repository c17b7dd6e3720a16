#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "arrow/column.h"
#include "arrow/mapped_file.h"

namespace arrowmind::arrow {

// A thread that brings pieces of a file into memory in their order, a few ahead of who uses them. Where no
// thread can be had, and for what cannot be read, nothing is waited for: who uses the bytes reads them.
class ReadThrough {
 public:
  // Begins with the first pieces: ranges of the file, which lives longer than this.
  ReadThrough(const MappedFile& file, std::vector<FileRange> pieces);
  // Ends once the piece that is being read is there.
  ~ReadThrough();
  ReadThrough(const ReadThrough&) = delete;
  ReadThrough& operator=(const ReadThrough&) = delete;

  // Waits for all pieces before `end`; those next behind them are read meanwhile. From any thread.
  void await(size_t end);

 private:
  void read();
  bool may_read(size_t piece);

  const MappedFile& file_;
  const std::vector<FileRange> pieces_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t wanted_ = 0;  // pieces that somebody waited for
  size_t read_ = 0;    // pieces that need not be waited for
  bool is_ending_ = false;
  std::thread thread_;
};

}  // namespace arrowmind::arrow
