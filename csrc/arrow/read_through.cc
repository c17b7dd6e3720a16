#include "arrow/read_through.h"

#include <algorithm>
#include <new>
#include <system_error>
#include <utility>

namespace arrowmind::arrow {
namespace {

// Pieces that are read before anybody waits for them.
constexpr size_t kAhead = 8;

}  // namespace

ReadThrough::ReadThrough(const MappedFile& file, std::vector<FileRange> pieces)
    : file_(file), pieces_(std::move(pieces)) {
  try {
    if (!pieces_.empty()) thread_ = std::thread([this] { read(); });
  } catch (const std::system_error&) {
    read_ = pieces_.size();
  }
}

ReadThrough::~ReadThrough() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ReadThrough::await(size_t end) {
  std::unique_lock lock(mutex_);
  wanted_ = std::max(wanted_, std::min(end, pieces_.size()));
  changed_.notify_all();
  changed_.wait(lock, [&] { return read_ >= end || read_ == pieces_.size(); });
}

void ReadThrough::read() {
  const auto tell = [this](size_t read) {
    const std::lock_guard lock(mutex_);
    read_ = read;
    changed_.notify_all();
  };
  try {
    for (size_t i = 0; i < pieces_.size() && may_read(i); ++i) {
      if (!file_.bring(pieces_[i].offset, pieces_[i].size)) return tell(pieces_.size());
      tell(i + 1);
    }
  } catch (const std::bad_alloc&) {
    tell(pieces_.size());
  }
}

bool ReadThrough::may_read(size_t piece) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return is_ending_ || piece < wanted_ + kAhead; });
  return !is_ending_;
}

}  // namespace arrowmind::arrow
