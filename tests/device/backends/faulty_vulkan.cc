// A Vulkan loader that hands everything to the real one, whose path is in ARROWMIND_TEST_VULKAN, and fails
// where it is told to. Found in place of the real one by LD_LIBRARY_PATH.

#include <dlfcn.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

namespace {

std::atomic<int64_t> calls = 0, fails_at = 0;
std::atomic<int64_t> live = 0;  // what was made and not given back
std::atomic<int32_t> failure = VK_SUCCESS;
std::atomic<bool> lost = false;

VkDevice opened = VK_NULL_HANDLE;
PFN_vkDeviceWaitIdle wait_idle = nullptr;

VkResult fault() {
  if (lost) return VK_ERROR_DEVICE_LOST;
  if (++calls != fails_at) return VK_SUCCESS;
  if (failure == VK_ERROR_DEVICE_LOST) {
    wait_idle(opened);  // nothing runs on a device that is lost
    lost = true;
  }
  return static_cast<VkResult>(failure.load());
}

// A function of a device that may fail, and may make something.
template <bool kMakes, int kId, typename Function>
struct Faulty;
template <bool kMakes, int kId, typename... Arguments>
struct Faulty<kMakes, kId, VkResult(VKAPI_PTR*)(Arguments...)> {
  static inline VkResult(VKAPI_PTR* real)(Arguments...) = nullptr;
  static VkResult VKAPI_PTR call(Arguments... arguments) {
    if (const VkResult result = fault(); result != VK_SUCCESS) return result;
    const VkResult result = real(arguments...);
    if (kMakes && result == VK_SUCCESS) ++live;
    return result;
  }
};

template <int kId, typename Function>
struct Freeing;
template <int kId, typename Handle>
struct Freeing<kId, void(VKAPI_PTR*)(VkDevice, Handle, const VkAllocationCallbacks*)> {
  static inline void(VKAPI_PTR* real)(VkDevice, Handle, const VkAllocationCallbacks*) = nullptr;
  static void VKAPI_PTR call(VkDevice device, Handle handle, const VkAllocationCallbacks* allocator) {
    if (handle != VK_NULL_HANDLE) --live;
    real(device, handle, allocator);
  }
};

void* library() {
  static void* opened = dlopen(std::getenv("ARROWMIND_TEST_VULKAN"), RTLD_NOW | RTLD_LOCAL);
  return opened;
}

PFN_vkGetInstanceProcAddr real_instance() {
  return reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(library(), "vkGetInstanceProcAddr"));
}

PFN_vkGetDeviceProcAddr real_device = nullptr;

PFN_vkVoidFunction VKAPI_PTR device_function(VkDevice device, const char* name) {
  const PFN_vkVoidFunction found = real_device(device, name);
  opened = device;
  wait_idle = reinterpret_cast<PFN_vkDeviceWaitIdle>(real_device(device, "vkDeviceWaitIdle"));
#define WRAPPED(function, ...)                                  \
  if (std::strcmp(name, #function) == 0) {                      \
    using Wrapped = __VA_ARGS__;                                \
    Wrapped::real = reinterpret_cast<PFN_##function>(found);    \
    return reinterpret_cast<PFN_vkVoidFunction>(Wrapped::call); \
  }
#define MAKING(function) WRAPPED(function, Faulty<true, __LINE__, PFN_##function>)
#define FAULTY(function) WRAPPED(function, Faulty<false, __LINE__, PFN_##function>)
#define FREEING(function) WRAPPED(function, Freeing<__LINE__, PFN_##function>)
  MAKING(vkAllocateMemory)
  MAKING(vkCreateBuffer)
  MAKING(vkCreateCommandPool)
  MAKING(vkCreateComputePipelines)
  MAKING(vkCreateDescriptorPool)
  MAKING(vkCreateDescriptorSetLayout)
  MAKING(vkCreatePipelineLayout)
  MAKING(vkCreateQueryPool)
  MAKING(vkCreateSemaphore)
  MAKING(vkCreateShaderModule)
  FAULTY(vkAllocateCommandBuffers)
  FAULTY(vkAllocateDescriptorSets)
  FAULTY(vkBeginCommandBuffer)
  FAULTY(vkBindBufferMemory)
  FAULTY(vkEndCommandBuffer)
  FAULTY(vkGetQueryPoolResults)
  FAULTY(vkGetSemaphoreCounterValue)
  FAULTY(vkMapMemory)
  FAULTY(vkQueueSubmit)
  FAULTY(vkWaitSemaphores)
  FREEING(vkFreeMemory)
  FREEING(vkDestroyBuffer)
  FREEING(vkDestroyCommandPool)
  FREEING(vkDestroyPipeline)
  FREEING(vkDestroyDescriptorPool)
  FREEING(vkDestroyDescriptorSetLayout)
  FREEING(vkDestroyPipelineLayout)
  FREEING(vkDestroyQueryPool)
  FREEING(vkDestroySemaphore)
  FREEING(vkDestroyShaderModule)
#undef WRAPPED
#undef MAKING
#undef FAULTY
#undef FREEING
  return found;
}

VkResult VKAPI_PTR old_version(uint32_t* version) {
  *version = VK_API_VERSION_1_0;
  return VK_SUCCESS;
}

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED PFN_vkVoidFunction vkGetInstanceProcAddr(VkInstance instance, const char* name) {
  if (std::strcmp(name, "vkEnumerateInstanceVersion") == 0 && std::getenv("ARROWMIND_TEST_OLD") != nullptr) {
    return reinterpret_cast<PFN_vkVoidFunction>(old_version);
  }
  const PFN_vkVoidFunction found = real_instance()(instance, name);
  if (std::strcmp(name, "vkGetDeviceProcAddr") != 0) return found;
  real_device = reinterpret_cast<PFN_vkGetDeviceProcAddr>(found);
  return reinterpret_cast<PFN_vkVoidFunction>(device_function);
}

// The n-th call from now on gives `result`; 0: none does.
EXPORTED void faulty_vulkan_set(int64_t at, int32_t result) {
  calls = 0;
  lost = false;
  failure = result;
  fails_at = at;
}

EXPORTED int64_t faulty_vulkan_calls() {
  return calls;
}
EXPORTED int64_t faulty_vulkan_live() {
  return live;
}
