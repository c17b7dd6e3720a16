// Copies of a stream: by way of staging memory, unless the host's memory is the device's.

#include <algorithm>
#include <cstring>

#include "device/vulkan/refusal.h"
#include "device/vulkan/stream.h"

namespace arrowmind::vulkan {
namespace {

constexpr int64_t kStagingBytes = 4 << 20;
constexpr int64_t kMostStaging = 8;  // pieces of a stream that are under way

}  // namespace

Memory* Stream::take_staging() {
  retire_done();
  if (staging_under_way_ + static_cast<int64_t>(current_->staging.size()) >= kMostStaging) {
    submit();
    timeline_->wait(under_way_.front()->value);
    retire_done();
  }
  if (spare_staging_.empty()) return device_.allocate(kStagingBytes, Use::kReadback);
  Memory* memory = spare_staging_.back();
  spare_staging_.pop_back();
  return memory;
}

// Room in the open batch.
Stream::Piece Stream::stage(int64_t bytes) {
  Batch* batch = &open();
  batch->staging_used = (batch->staging_used + 15) / 16 * 16;
  if (batch->staging.empty() || batch->staging_used + bytes > kStagingBytes) {
    Memory* memory = take_staging();  // may have submitted the batch
    try {
      batch = &open();
      batch->staging.push_back(memory);
    } catch (...) {
      device_.release(memory);
      throw;
    }
    batch->staging_used = 0;
  }
  const Piece piece = {batch->staging.back(), batch->staging_used};
  batch->staging_used += bytes;
  return piece;
}

void Stream::copy(const Memory& to, int64_t to_offset, const Memory& from, int64_t from_offset,
                  int64_t bytes) {
  Batch& batch = open();
  order(batch);
  const VkBufferCopy region = {static_cast<VkDeviceSize>(from_offset), static_cast<VkDeviceSize>(to_offset),
                               static_cast<VkDeviceSize>(bytes)};
  device_.vk().vkCmdCopyBuffer(batch.commands, from.buffer, to.buffer, 1, &region);
}

void Stream::copy_in(const Memory& to, int64_t offset, const char* from, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  expect_sound();
  int64_t pinned_offset = 0;
  if (const Memory* pinned = device_.pinned(from, bytes, &pinned_offset); pinned != nullptr) {
    return copy(to, offset, *pinned, pinned_offset, bytes);
  }
  if (to.mapped != nullptr && is_idle()) {
    std::memcpy(to.mapped + offset, from, static_cast<size_t>(bytes));
    return;
  }
  for (int64_t done = 0; done < bytes; done += kStagingBytes) {
    const int64_t size = std::min(kStagingBytes, bytes - done);
    const Piece piece = stage(size);
    std::memcpy(piece.memory->mapped + piece.offset, from + done, static_cast<size_t>(size));
    copy(to, offset + done, *piece.memory, piece.offset, size);
  }
}

void Stream::copy_out(char* to, const Memory& from, int64_t offset, int64_t bytes) {
  const std::lock_guard lock(mutex_);
  expect_sound();
  int64_t pinned_offset = 0;
  if (const Memory* pinned = device_.pinned(to, bytes, &pinned_offset); pinned != nullptr) {
    return copy(*pinned, pinned_offset, from, offset, bytes);
  }
  if (from.mapped != nullptr && is_idle()) {
    std::memcpy(to, from.mapped + offset, static_cast<size_t>(bytes));
    return;
  }
  for (int64_t done = 0; done < bytes; done += kStagingBytes) {
    const int64_t size = std::min(kStagingBytes, bytes - done);
    const Piece piece = stage(size);
    copy(*piece.memory, piece.offset, from, offset + done, size);
    current_->outs.push_back({to + done, piece.memory->mapped + piece.offset, size});
  }
}

void Stream::copy_within(const Memory& to, int64_t to_offset, const Memory& from, int64_t from_offset,
                         int64_t bytes) {
  const std::lock_guard lock(mutex_);
  copy(to, to_offset, from, from_offset, bytes);
}

}  // namespace arrowmind::vulkan
