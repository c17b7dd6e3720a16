#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "device/vulkan/driver.h"
#include "device/vulkan/shaders.h"

namespace arrowmind::vulkan {

class Stream;

// A buffer with memory of its own.
struct Memory {
  VkBuffer buffer = VK_NULL_HANDLE;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  int64_t bytes = 0;       // of the buffer, a multiple of 4
  int64_t taken = 0;       // of the device
  char* mapped = nullptr;  // where the host reaches it
};

// What holds bindings 0 to count - 1 and a block of parameters.
struct Layout {
  VkDescriptorSetLayout set = VK_NULL_HANDLE;
  VkPipelineLayout pipeline = VK_NULL_HANDLE;
};

// A kernel that can be launched.
struct Kernel {
  const Shader* shader = nullptr;
  Layout layout;
  VkPipeline pipeline = VK_NULL_HANDLE;
};

// A queue; several streams may share one.
struct Queue {
  VkQueue handle = VK_NULL_HANDLE;
  std::mutex mutex;
};

enum class Use : uint8_t { kDevice, kUpload, kReadback };

// An open device. Functions throw Refusal; safe from several threads.
class Device {
 public:
  Device(const Driver& driver, const PhysicalDevice& physical);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const DeviceFunctions& vk() const { return vk_; }
  VkDevice handle() const { return handle_; }
  const PhysicalDevice& physical() const { return physical_; }

  void memory_info(int64_t* free_bytes, int64_t* total_bytes) const;
  Memory* allocate(int64_t bytes, Use use);
  void release(Memory* memory) noexcept;
  // Host memory that allocate() made, by address; null where the address is in none.
  const Memory* pinned(const void* address, int64_t bytes, int64_t* offset);
  void* allocate_pinned(int64_t bytes);
  void release_pinned(void* address) noexcept;

  const Kernel* find_kernel(const std::string& name);

  Queue& next_queue();
  void add(Stream* stream);
  void remove(Stream* stream) noexcept;
  void finish_streams() noexcept;  // waits for all that was submitted
  void wait_idle() noexcept;       // the same without asking the streams, for when they cannot tell

  // As check() of refusal.h, and remembers that the device is lost.
  void check(VkResult result, const char* what);
  // Throws where it was lost before.
  void expect_here() const;
  bool is_lost() const { return lost_.load(std::memory_order_acquire); }

 private:
  void open(const Driver& driver);
  void find_functions(const Driver& driver);
  uint32_t memory_type(uint32_t allowed, Use use) const;
  const Layout& layout(uint32_t places);
  VkPipeline make_pipeline(const Shader& shader, VkPipelineLayout layout);

  const InstanceFunctions& instance_vk_;
  const PhysicalDevice& physical_;
  DeviceFunctions vk_;
  VkDevice handle_ = VK_NULL_HANDLE;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::atomic<uint32_t> next_queue_ = 0;
  std::atomic<bool> lost_ = false;
  std::atomic<int64_t> allocated_bytes_ = 0, allocations_ = 0;

  std::mutex streams_mutex_;
  std::vector<Stream*> streams_;
  std::mutex kernels_mutex_;
  std::unordered_map<std::string, std::unique_ptr<Kernel>> kernels_;
  std::array<Layout, kMostPlaces + 1> layouts_ = {};
  std::mutex pinned_mutex_;
  std::map<const char*, Memory*> pinned_;
};

}  // namespace arrowmind::vulkan
