#include "device/metal/stream.h"

#include <cstring>
#include <optional>
#include <utility>

namespace arrowmind::metal {
namespace {

// So much is gathered at most before the device is given it.
constexpr int kMostOfBatch = 64;
// Metal on a Mac copies words.
constexpr int64_t kCopyUnit = 4;

}  // namespace

Batch& Stream::open() {
  while (!submitted_.empty() && submitted_.front()->is_done()) {
    const std::shared_ptr<Batch> done = std::move(submitted_.front());
    submitted_.pop_front();
    done->finish();
  }
  if (open_ == nullptr) open_ = queue_->begin();
  return *open_;
}

void Stream::submit() {
  if (open_ == nullptr) return;
  const std::shared_ptr<Batch> batch = std::exchange(open_, nullptr);
  count_ = 0;
  batch->commit();
  submitted_.push_back(batch);
}

void Stream::count_one() {
  if (++count_ == kMostOfBatch) submit();
}

void Stream::settle_locked() {
  submit();
  std::optional<Refusal> refusal;
  for (; !submitted_.empty(); submitted_.pop_front()) {
    try {
      submitted_.front()->finish();
    } catch (const Refusal& own) {
      if (!refusal || own.status == ARROWMIND_LOST) refusal = own;
    }
  }
  if (refusal) throw Refusal(*refusal);
}

void Stream::settle() {
  const std::lock_guard lock(mutex_);
  settle_locked();
}

void Stream::launch(const Dispatch& dispatch) {
  const std::lock_guard lock(mutex_);
  open().dispatch(dispatch);
  count_one();
}

void Stream::copy_within(const std::shared_ptr<Buffer>& to, int64_t to_offset,
                         const std::shared_ptr<Buffer>& from, int64_t from_offset, int64_t bytes) {
  if ((to_offset | from_offset | bytes) % kCopyUnit != 0) {
    return copy_on_host(to->contents() + to_offset, from->contents() + from_offset, bytes);
  }
  const std::lock_guard lock(mutex_);
  open().copy(to, to_offset, from, from_offset, bytes);
  count_one();
}

void Stream::copy_on_host(void* to, const void* from, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  settle_locked();
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

std::shared_ptr<const Mark> Stream::record() {
  const std::lock_guard lock(mutex_);
  open().raise(signal_, ++value_);
  const auto mark = std::make_shared<const Mark>(Mark{open_, signal_, value_});
  submit();
  return mark;
}

void Stream::wait(const Mark& mark) {
  if (mark.batch->is_done()) return;
  const std::lock_guard lock(mutex_);
  open().wait(mark.signal, mark.value);  // what raises it was committed
}

}  // namespace arrowmind::metal
