#include "device/vulkan/stream.h"

#include <cstring>
#include <utility>

#include "device/vulkan/refusal.h"

namespace arrowmind::vulkan {
Stream::Stream(Device& device)
    : device_(device), queue_(device.next_queue()), timeline_(std::make_shared<Timeline>(device)) {
  device.add(this);
}

Stream::~Stream() {
  finish();
  device_.remove(this);
  if (current_ != nullptr) recycle(std::move(current_));
  while (!under_way_.empty()) {  // of a lost device
    recycle(std::move(under_way_.front()));
    under_way_.pop_front();
  }
  for (const auto& batch : spare_) destroy(*batch);
  for (Memory* memory : spare_staging_) device_.release(memory);
}

std::unique_ptr<Batch> Stream::make_batch() {
  struct Guard {
    Stream& stream;
    std::unique_ptr<Batch> batch = std::make_unique<Batch>();
    ~Guard() {
      if (batch != nullptr) stream.destroy(*batch);
    }
  } guard{*this};
  const DeviceFunctions& vk = device_.vk();
  VkCommandPoolCreateInfo pool = {VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
  pool.queueFamilyIndex = device_.physical().queue_family;
  device_.check(vk.vkCreateCommandPool(device_.handle(), &pool, nullptr, &guard.batch->pool),
                "vkCreateCommandPool");
  VkCommandBufferAllocateInfo commands = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
  commands.commandPool = guard.batch->pool;
  commands.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  commands.commandBufferCount = 1;
  device_.check(vk.vkAllocateCommandBuffers(device_.handle(), &commands, &guard.batch->commands),
                "vkAllocateCommandBuffers");
  const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, kMostLaunches * kMostPlaces};
  VkDescriptorPoolCreateInfo sets = {VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
  sets.maxSets = kMostLaunches;
  sets.poolSizeCount = 1;
  sets.pPoolSizes = &size;
  device_.check(vk.vkCreateDescriptorPool(device_.handle(), &sets, nullptr, &guard.batch->descriptors),
                "vkCreateDescriptorPool");
  return std::move(guard.batch);
}

void Stream::destroy(Batch& batch) noexcept {
  device_.vk().vkDestroyDescriptorPool(device_.handle(), batch.descriptors, nullptr);
  device_.vk().vkDestroyCommandPool(device_.handle(), batch.pool, nullptr);
}

void Stream::expect_sound() {
  device_.expect_here();
  if (!told_later_.has_value()) return;
  const Refusal refusal = *std::exchange(told_later_, std::nullopt);
  throw refusal;
}

Batch& Stream::open() {
  expect_sound();
  if (current_ != nullptr) return *current_;
  retire_done();
  std::unique_ptr<Batch> batch;
  if (spare_.empty()) {
    batch = make_batch();
  } else {
    batch = std::move(spare_.back());
    spare_.pop_back();
  }
  VkCommandBufferBeginInfo begin = {VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  const VkResult result = device_.vk().vkBeginCommandBuffer(batch->commands, &begin);
  if (result != VK_SUCCESS) destroy(*batch);
  device_.check(result, "vkBeginCommandBuffer");
  current_ = std::move(batch);
  return *current_;
}

void Stream::order(Batch& batch) {
  constexpr VkPipelineStageFlags kWork =
      VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
  VkMemoryBarrier barrier = {VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                          VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  device_.vk().vkCmdPipelineBarrier(batch.commands, kWork, kWork, 0, 1, &barrier, 0, nullptr, 0, nullptr);
  batch.has_commands = true;
}

void Stream::submit() {
  if (current_ == nullptr) return;
  if (!current_->has_commands && current_->waits.empty()) return;
  std::unique_ptr<Batch> batch = std::move(current_);
  const DeviceFunctions& vk = device_.vk();
  VkMemoryBarrier to_host = {VK_STRUCTURE_TYPE_MEMORY_BARRIER};
  to_host.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
  to_host.dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT;
  vk.vkCmdPipelineBarrier(batch->commands,
                          VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                          VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &to_host, 0, nullptr, 0, nullptr);
  VkResult result = vk.vkEndCommandBuffer(batch->commands);
  const uint64_t value = submitted_ + 1;
  if (result == VK_SUCCESS) {
    std::vector<VkSemaphore> semaphores;
    std::vector<uint64_t> values;
    for (const Batch::Wait& wait : batch->waits) {
      semaphores.push_back(wait.timeline->semaphore());
      values.push_back(wait.value);
    }
    const std::vector<VkPipelineStageFlags> stages(semaphores.size(), VK_PIPELINE_STAGE_ALL_COMMANDS_BIT);
    const VkSemaphore own = timeline_->semaphore();
    VkTimelineSemaphoreSubmitInfo timeline = {VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
    timeline.waitSemaphoreValueCount = static_cast<uint32_t>(values.size());
    timeline.pWaitSemaphoreValues = values.data();
    timeline.signalSemaphoreValueCount = 1;
    timeline.pSignalSemaphoreValues = &value;
    VkSubmitInfo info = {VK_STRUCTURE_TYPE_SUBMIT_INFO};
    info.pNext = &timeline;
    info.waitSemaphoreCount = static_cast<uint32_t>(semaphores.size());
    info.pWaitSemaphores = semaphores.data();
    info.pWaitDstStageMask = stages.data();
    info.commandBufferCount = 1;
    info.pCommandBuffers = &batch->commands;
    info.signalSemaphoreCount = 1;
    info.pSignalSemaphores = &own;
    const std::lock_guard lock(queue_.mutex);
    result = vk.vkQueueSubmit(queue_.handle, 1, &info, VK_NULL_HANDLE);
  }
  if (result != VK_SUCCESS) {
    // What was recorded is gone: the work after it must not run as if it had been done.
    recycle(std::move(batch));
    device_.check(result, "vkQueueSubmit");
  }
  submitted_ = batch->value = value;
  staging_under_way_ += static_cast<int64_t>(batch->staging.size());
  under_way_.push_back(std::move(batch));
}

void Stream::retire_done() {
  if (under_way_.empty()) return;
  const uint64_t reached = timeline_->reached();
  while (!under_way_.empty() && under_way_.front()->value <= reached) {
    std::unique_ptr<Batch> batch = std::move(under_way_.front());
    under_way_.pop_front();
    staging_under_way_ -= static_cast<int64_t>(batch->staging.size());
    for (const Batch::Out& out : batch->outs) std::memcpy(out.to, out.from, static_cast<size_t>(out.bytes));
    recycle(std::move(batch));
  }
}

void Stream::recycle(std::unique_ptr<Batch> batch) {
  spare_staging_.insert(spare_staging_.end(), batch->staging.begin(), batch->staging.end());
  const DeviceFunctions& vk = device_.vk();
  if (vk.vkResetCommandPool(device_.handle(), batch->pool, 0) != VK_SUCCESS ||
      vk.vkResetDescriptorPool(device_.handle(), batch->descriptors, 0) != VK_SUCCESS) {
    return destroy(*batch);
  }
  Batch clean;
  clean.pool = batch->pool;
  clean.commands = batch->commands;
  clean.descriptors = batch->descriptors;
  *batch = std::move(clean);
  spare_.push_back(std::move(batch));
}

bool Stream::is_idle() {
  retire_done();
  return under_way_.empty() && (current_ == nullptr || (!current_->has_commands && current_->waits.empty()));
}

std::shared_ptr<Mark> Stream::record() {
  const std::lock_guard lock(mutex_);
  Batch& batch = open();
  auto mark = std::make_shared<Mark>(device_);
  mark->stream = weak_from_this();
  mark->timeline = timeline_;
  mark->value = submitted_ + 1;
  order(batch);
  if (mark->time != VK_NULL_HANDLE) {
    const DeviceFunctions& vk = device_.vk();
    vk.vkCmdResetQueryPool(batch.commands, mark->time, 0, 1);
    vk.vkCmdWriteTimestamp(batch.commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, mark->time, 0);
  }
  batch.marks.push_back(mark);
  // At once: so a wait of another stream always meets work that was submitted before it.
  submit();
  return mark;
}

void Stream::wait(const Mark& mark) {
  if (mark.timeline == timeline_) return;  // in order as it is
  const std::lock_guard lock(mutex_);
  if (current_ != nullptr && current_->has_commands) submit();
  open().waits.push_back({mark.timeline, mark.value});
}

void Stream::synchronise() {
  uint64_t last = 0;
  {
    const std::lock_guard lock(mutex_);
    expect_sound();
    submit();
    last = submitted_;
  }
  timeline_->wait(last);
  retire();
}

void Stream::retire() {
  const std::lock_guard lock(mutex_);
  retire_done();
}

void Stream::finish() noexcept {
  uint64_t last = 0;
  {
    const std::lock_guard lock(mutex_);
    try {
      submit();
    } catch (const Refusal& refusal) {
      told_later_ = refusal;
    } catch (...) {
      told_later_ = Refusal{ARROWMIND_OUT_OF_MEMORY, ""};  // the host's
    }
    last = submitted_;
  }
  try {
    timeline_->wait(last);
    retire();
  } catch (...) {
    if (!device_.is_lost()) device_.wait_idle();  // a lost device runs nothing
  }
}

}  // namespace arrowmind::vulkan
