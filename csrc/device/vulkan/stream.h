#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "device/backend.h"
#include "device/vulkan/device.h"
#include "device/vulkan/refusal.h"

namespace arrowmind::vulkan {

// What counts the batches of a stream that are done.
class Timeline {
 public:
  explicit Timeline(Device& device);
  ~Timeline();
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  VkSemaphore semaphore() const { return semaphore_; }
  uint64_t reached() const;
  void wait(uint64_t value) const;

 private:
  Device& device_;
  VkSemaphore semaphore_ = VK_NULL_HANDLE;
};

class Stream;

// A point in the work of a stream.
class Mark {
 public:
  explicit Mark(Device& device);
  ~Mark();
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;

  // Also finishes copies to the host up to here.
  bool is_reached() const;
  int64_t nanoseconds_until(const Mark& later) const;  // both were reached

  std::weak_ptr<Stream> stream;
  std::shared_ptr<Timeline> timeline;
  uint64_t value = 0;
  VkQueryPool time = VK_NULL_HANDLE;  // null where queues have no clock

 private:
  uint64_t ticks() const;  // of the device's clock when it was reached

  Device& device_;
};

// Launches after which a batch is submitted by itself: few enough for the device to begin early.
constexpr uint32_t kMostLaunches = 64;

// Commands that are submitted together.
struct Batch {
  struct Out {
    void* to;
    const char* from;
    int64_t bytes;
  };
  struct Wait {
    std::shared_ptr<Timeline> timeline;
    uint64_t value;
  };

  VkCommandPool pool = VK_NULL_HANDLE;
  VkCommandBuffer commands = VK_NULL_HANDLE;
  VkDescriptorPool descriptors = VK_NULL_HANDLE;
  uint32_t launches = 0;
  bool has_commands = false;
  std::vector<Memory*> staging;
  int64_t staging_used = 0;  // of the last
  std::vector<Out> outs;     // when it is done
  std::vector<std::shared_ptr<Mark>> marks;
  std::vector<Wait> waits;  // before it begins
  uint64_t value = 0;       // of the timeline when it is done
};

// Work in order, recorded in batches. Functions throw Refusal; safe from several threads.
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  explicit Stream(Device& device);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void copy_in(const Memory& to, int64_t offset, const char* from, int64_t bytes);
  void copy_out(char* to, const Memory& from, int64_t offset, int64_t bytes);
  void copy_within(const Memory& to, int64_t to_offset, const Memory& from, int64_t from_offset,
                   int64_t bytes);
  void launch(const ArrowmindLaunch& launch);
  std::shared_ptr<Mark> record();
  void wait(const Mark& mark);
  void synchronise();

  void retire();           // takes back what is done
  void finish() noexcept;  // submits all and waits, whatever fails

 private:
  struct Piece {
    Memory* memory;
    int64_t offset;
  };

  void expect_sound();
  Batch& open();
  std::unique_ptr<Batch> make_batch();
  void destroy(Batch& batch) noexcept;
  void submit();
  void retire_done();
  void recycle(std::unique_ptr<Batch> batch);
  bool is_idle();
  Piece stage(int64_t bytes);
  Memory* take_staging();
  void order(Batch& batch);  // what follows waits for what was recorded
  void copy(const Memory& to, int64_t to_offset, const Memory& from, int64_t from_offset, int64_t bytes);
  VkDescriptorSet bind(Batch& batch, const Kernel& kernel, const ArrowmindPlace* places);

  Device& device_;
  Queue& queue_;
  std::shared_ptr<Timeline> timeline_;
  std::mutex mutex_;
  std::unique_ptr<Batch> current_;
  std::deque<std::unique_ptr<Batch>> under_way_;
  std::vector<std::unique_ptr<Batch>> spare_;
  std::vector<Memory*> spare_staging_;
  int64_t staging_under_way_ = 0;
  uint64_t submitted_ = 0;
  std::optional<Refusal> told_later_;  // why work was not submitted, where no caller could be told
};

}  // namespace arrowmind::vulkan
