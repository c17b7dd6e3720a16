// A driver as device/gpu/driver.h opens it, CUDA's or with ARROWMIND_HIP that of ROCm, whose device is made
// of fibers: memory is the host's, streams are done when a call returns. For tests only.
//
// arrowmind_driver_set() takes words `key=value` separated by commas, and begins anew:
//   version, devices, memory   what the driver tells (13000 or 50200000, 1, 1 GiB)
//   call=N,failure=F           the N-th call that can fail from now on answers F
//   launch=F                   each launch answers F
//   sticky=1                   once something failed, all later calls fail alike
//   read_only=1                host memory may only be registered as such
//   backward=1                 fibers run in the other order
//   graph=F                    each graph that is made ready answers F
//   major=N                    the first number of the compute capability (9)
//   misread=1                  products of warpgroups take their rows in another order than devices do
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "device/gpu/driver.h"
#include "on_host/fibers.h"
#include "on_host/registered.h"
#include "on_host/warpgroups.h"

#ifdef ARROWMIND_HIP
#define DRIVER(cuda, hip) extern "C" __attribute__((visibility("default"))) int hip
constexpr int64_t kVersion = 50200000;
#else
#define DRIVER(cuda, hip) extern "C" __attribute__((visibility("default"))) int cuda
constexpr int64_t kVersion = 13000;
#endif
#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {

using arrowmind::device::gpu::KernelNode;
using arrowmind::on_host::Registered;
using Clock = std::chrono::steady_clock;

std::recursive_mutex mutex;
std::map<std::string, int64_t> settings;
int64_t calls = 0;
int failed = 0;  // sticky
enum Kind { kContexts, kMemory, kPinned, kRegistered, kStreams, kEvents, kModules, kGraphs, kReady, kKinds };
std::map<uint64_t, int64_t> live[kKinds];  // bytes, or 1

std::atomic<uint64_t> last_stream = 0;  // of a launch
std::atomic<int64_t> launches = 0, graph_launches = 0;

struct Event {
  Clock::time_point when;
};

int64_t setting(const char* name, int64_t otherwise) {
  const std::lock_guard lock(mutex);
  const auto found = settings.find(name);
  return found == settings.end() ? otherwise : found->second;
}

// What a call that can fail begins with.
int fault() {
  const std::lock_guard lock(mutex);
  ++calls;
  if (failed != 0) return failed;
  if (calls != setting("call", 0)) return 0;
  const int failure = static_cast<int>(setting("failure", 999));
  if (setting("sticky", 0) != 0) failed = failure;
  return failure;
}

void take(Kind kind, uint64_t handle, int64_t bytes = 1) {
  const std::lock_guard lock(mutex);
  live[kind][handle] += bytes;
}
int give(Kind kind, uint64_t handle) {
  const std::lock_guard lock(mutex);
  return live[kind].erase(handle) == 1 ? 0 : 1;
}

template <class T>
int make(Kind kind, void** handle) {
  if (const int failure = fault()) return failure;
  *handle = new T();
  take(kind, reinterpret_cast<uint64_t>(*handle));
  return 0;
}
template <class T>
int destroy(Kind kind, void* handle) {
  if (give(kind, reinterpret_cast<uint64_t>(handle)) != 0) return 400;
  delete static_cast<T*>(handle);
  return 0;
}

int copy(void* to, const void* from, size_t bytes) {
  if (const int failure = fault()) return failure;
  std::memcpy(to, from, bytes);
  return 0;
}
void* pointer(uint64_t address) {
  return reinterpret_cast<void*>(address);
}

// A launch of a graph. Of arguments the addresses are known alone: as a driver does, it copies what they
// point to, by the sizes that the kernel was registered with.
struct Node {
  const Registered* kernel;
  unsigned grid[3];
  unsigned threads;
  std::vector<std::vector<char>> values;
};
struct Graph {
  std::vector<std::unique_ptr<Node>> nodes;
};

struct Call {
  const Registered* kernel;
  void* const* arguments;
  static void run(void* argument) {
    const auto* call = static_cast<const Call*>(argument);
    call->kernel->call(call->kernel->kernel, call->arguments);
  }
};

bool fits(const Registered& kernel, const unsigned* grid, const unsigned* group) {
  if (grid[0] * grid[1] * grid[2] == 0 || grid[1] > 65535 || grid[2] > 65535) return false;
  return group[0] <= kernel.most_threads && group[1] * group[2] == 1;
}

int run(const Registered& kernel, const unsigned* grid, unsigned threads, void* const* arguments) {
  Call call = {&kernel, arguments};
  const uint32_t groups[3] = {grid[0], grid[1], grid[2]};
  arrowmind::fibers::run(groups, threads, setting("backward", 0) != 0, Call::run, &call);
  return 0;
}

}  // namespace

DRIVER(cuInit, hipInit)(unsigned) {
  return setting("devices", 1) == 0 ? 100 : static_cast<int>(setting("start", 0));
}
DRIVER(cuDriverGetVersion, hipDriverGetVersion)(int* version) {
  *version = static_cast<int>(setting("version", kVersion));
  return 0;
}
DRIVER(cuDeviceGetCount, hipGetDeviceCount)(int* count) {
  *count = static_cast<int>(setting("devices", 1));
  return 0;
}
DRIVER(cuDeviceGet, hipDeviceGet)(int* device, int index) {
  *device = index;
  return index < setting("devices", 1) ? 0 : 101;
}
DRIVER(cuDeviceGetName, hipDeviceGetName)(char* name, int bytes, int device) {
  std::snprintf(name, static_cast<size_t>(bytes), "fibers %d", device);
  return 0;
}
DRIVER(cuDeviceGetAttribute, hipDeviceGetAttribute)(int* value, int attribute, int) {
  *value = attribute == 75 || attribute == 23 ? static_cast<int>(setting("major", 9)) : 0;
  return 0;
}
DRIVER(cuDeviceTotalMem_v2, hipDeviceTotalMem)(size_t* bytes, int) {
  *bytes = static_cast<size_t>(setting("memory", int64_t{1} << 30));
  return 0;
}
DRIVER(cuDevicePrimaryCtxRetain, hipDevicePrimaryCtxRetain)(void** context, int device) {
  if (const int failure = fault()) return failure;
  *context = reinterpret_cast<void*>(static_cast<uintptr_t>(device + 1));
  take(kContexts, static_cast<uint64_t>(device));
  return 0;
}
DRIVER(cuDevicePrimaryCtxRelease_v2, hipDevicePrimaryCtxRelease)(int device) {
  const std::lock_guard lock(mutex);
  const auto found = live[kContexts].find(static_cast<uint64_t>(device));
  if (found == live[kContexts].end()) return 201;
  if (--found->second == 0) live[kContexts].erase(found);
  return 0;
}
DRIVER(cuCtxSetCurrent, hipCtxSetCurrent)(void* context) {
  return context == nullptr ? 201 : 0;
}
DRIVER(cuCtxSynchronize, hipDeviceSynchronize)() {
  return 0;
}
DRIVER(cuMemGetInfo_v2, hipMemGetInfo)(size_t* free_bytes, size_t* total_bytes) {
  if (const int failure = fault()) return failure;
  const std::lock_guard lock(mutex);
  *total_bytes = *free_bytes = static_cast<size_t>(setting("memory", int64_t{1} << 30));
  for (const auto& [memory, bytes] : live[kMemory]) *free_bytes -= static_cast<size_t>(bytes);
  return 0;
}
DRIVER(cuMemAlloc_v2, hipMalloc)(uint64_t* memory, size_t bytes) {
  const std::lock_guard lock(mutex);
  if (const int failure = fault()) return failure;
  size_t free_bytes = static_cast<size_t>(setting("memory", int64_t{1} << 30));
  for (const auto& [held, size] : live[kMemory]) free_bytes -= static_cast<size_t>(size);
  if (bytes > free_bytes) return 2;
  // No more than was asked for: what reads or writes beyond it is found by tools that look for it.
  *memory = reinterpret_cast<uint64_t>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
  if (*memory == 0) return 2;
  std::memset(pointer(*memory), 0xff, (bytes + 255) / 256 * 256);
  take(kMemory, *memory, static_cast<int64_t>(bytes));
  return 0;
}
DRIVER(cuMemFree_v2, hipFree)(uint64_t memory) {
  {
    const std::lock_guard lock(mutex);
    const auto found = live[kMemory].find(memory);
    if (found == live[kMemory].end()) return 1;
    std::memset(pointer(memory), 0xff,
                static_cast<size_t>(found->second));  // whoever still reads it sees NaN
  }
  if (give(kMemory, memory) != 0) return 1;
  std::free(pointer(memory));
  return 0;
}
DRIVER(cuMemHostAlloc, hipHostMalloc)(void** address, size_t bytes, unsigned) {
  if (const int failure = fault()) return failure;
  if (bytes > size_t{1} << 40) return 2;
  *address = std::malloc(bytes);
  if (*address == nullptr) return 2;
  take(kPinned, reinterpret_cast<uint64_t>(*address));
  return 0;
}
DRIVER(cuMemFreeHost, hipHostFree)(void* address) {
  if (give(kPinned, reinterpret_cast<uint64_t>(address)) != 0) return 1;
  std::free(address);
  return 0;
}
DRIVER(cuMemHostRegister_v2, hipHostRegister)(void* address, size_t, unsigned flags) {
  if (const int failure = fault()) return failure;
  if (setting("read_only", 0) != 0 && flags != 8) return 1;
  take(kRegistered, reinterpret_cast<uint64_t>(address));
  return 0;
}
DRIVER(cuMemHostUnregister, hipHostUnregister)(void* address) {
  return give(kRegistered, reinterpret_cast<uint64_t>(address));
}
DRIVER(cuStreamCreate, hipStreamCreateWithFlags)(void** stream, unsigned) {
  return make<int>(kStreams, stream);
}
DRIVER(cuStreamDestroy_v2, hipStreamDestroy)(void* stream) {
  return destroy<int>(kStreams, stream);
}
DRIVER(cuStreamSynchronize, hipStreamSynchronize)(void*) {
  return fault();
}
DRIVER(cuMemcpyHtoDAsync_v2, hipMemcpyHtoDAsync)(uint64_t to, const void* from, size_t bytes, void*) {
  return copy(pointer(to), from, bytes);
}
DRIVER(cuMemcpyDtoHAsync_v2, hipMemcpyDtoHAsync)(void* to, uint64_t from, size_t bytes, void*) {
  return copy(to, pointer(from), bytes);
}
DRIVER(cuMemcpyDtoDAsync_v2, hipMemcpyDtoDAsync)(uint64_t to, uint64_t from, size_t bytes, void*) {
  return copy(pointer(to), pointer(from), bytes);
}
DRIVER(cuEventCreate, hipEventCreateWithFlags)(void** event, unsigned) {
  return make<Event>(kEvents, event);
}
DRIVER(cuEventDestroy_v2, hipEventDestroy)(void* event) {
  return destroy<Event>(kEvents, event);
}
DRIVER(cuEventRecord, hipEventRecord)(void* event, void*) {
  if (const int failure = fault()) return failure;
  static_cast<Event*>(event)->when = Clock::now();
  return 0;
}
DRIVER(cuStreamWaitEvent, hipStreamWaitEvent)(void*, void*, unsigned) {
  return fault();
}
DRIVER(cuEventQuery, hipEventQuery)(void*) {
  return fault();
}
DRIVER(cuEventElapsedTime, hipEventElapsedTime)(float* milliseconds, void* from, void* to) {
  if (const int failure = fault()) return failure;
  const auto took = static_cast<Event*>(to)->when - static_cast<Event*>(from)->when;
  *milliseconds = std::chrono::duration<float, std::milli>(took).count();
  return 0;
}
DRIVER(cuModuleLoadData, hipModuleLoadData)(void** module, const void*) {
  return make<int>(kModules, module);
}
DRIVER(cuModuleUnload, hipModuleUnload)(void* module) {
  return destroy<int>(kModules, module);
}
DRIVER(cuModuleGetFunction, hipModuleGetFunction)(void** function, void*, const char* name) {
  if (const int failure = fault()) return failure;
  for (const Registered* kernel = Registered::first(); kernel != nullptr; kernel = kernel->next) {
    if (std::string(kernel->name) != name) continue;
    *function = const_cast<Registered*>(kernel);
    return 0;
  }
  return 500;
}
DRIVER(cuLaunchKernel, hipModuleLaunchKernel)
(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned group_x, unsigned group_y,
 unsigned group_z, unsigned, void* stream, void** arguments, void**) {
  if (const int failure = fault()) return failure;
  last_stream = reinterpret_cast<uint64_t>(stream);
  ++launches;
  if (const int64_t failure = setting("launch", 0)) return static_cast<int>(failure);
  const unsigned grid[] = {grid_x, grid_y, grid_z}, group[] = {group_x, group_y, group_z};
  const auto* kernel = static_cast<const Registered*>(function);
  return fits(*kernel, grid, group) ? run(*kernel, grid, group_x, arguments) : 1;
}
DRIVER(cuGraphCreate, hipGraphCreate)(void** graph, unsigned flags) {
  return flags != 0 ? 1 : make<Graph>(kGraphs, graph);
}
DRIVER(cuGraphDestroy, hipGraphDestroy)(void* graph) {
  return destroy<Graph>(kGraphs, graph);
}
// A chain: each node is told the one before, and nothing else.
DRIVER(cuGraphAddKernelNode_v2, hipGraphAddKernelNode)
(void** node, void* graph, void* const* after, size_t count, const KernelNode* what) {
  if (const int failure = fault()) return failure;
  auto& nodes = static_cast<Graph*>(graph)->nodes;
  if (count != (nodes.empty() ? 0u : 1u) || (count == 1 && *after != nodes.back().get())) return 1;
  const auto* kernel = static_cast<const Registered*>(what->function);
  if (!fits(*kernel, what->grid, what->group) || what->extra != nullptr) return 1;
  nodes.push_back(std::make_unique<Node>());
  Node& made = *nodes.back();
  made.kernel = kernel;
  std::copy_n(what->grid, 3, made.grid);
  made.threads = what->group[0];
  for (size_t i = 0; i < kernel->sizes.size(); ++i) {
    const auto* value = static_cast<const char*>(what->arguments[i]);
    made.values.emplace_back(value, value + kernel->sizes[i]);
  }
  *node = &made;
  return 0;
}
DRIVER(cuGraphInstantiateWithFlags, hipGraphInstantiateWithFlags)
(void** ready, void* graph, unsigned long long flags) {
  if (const int64_t failure = setting("graph", 0)) return static_cast<int>(failure);
  if (flags != 0) return 1;
  if (const int failure = make<Graph>(kReady, ready)) return failure;
  for (const auto& node : static_cast<Graph*>(graph)->nodes) {
    static_cast<Graph*>(*ready)->nodes.push_back(std::make_unique<Node>(*node));
  }
  return 0;
}
DRIVER(cuGraphExecDestroy, hipGraphExecDestroy)(void* ready) {
  return destroy<Graph>(kReady, ready);
}
DRIVER(cuGraphLaunch, hipGraphLaunch)(void* ready, void* stream) {
  if (const int failure = fault()) return failure;
  last_stream = reinterpret_cast<uint64_t>(stream);
  ++graph_launches;
  for (const auto& node : static_cast<const Graph*>(ready)->nodes) {
    std::vector<void*> arguments;
    for (std::vector<char>& value : node->values) arguments.push_back(value.data());
    run(*node->kernel, node->grid, node->threads, arguments.data());
  }
  return 0;
}
#ifdef ARROWMIND_HIP
EXPORTED const char* hipGetErrorString(int failure) {
  return failure == 100 ? "no ROCm-capable device is detected" : "told to";
}
#else
DRIVER(cuGetErrorString, )(int failure, const char** text) {
  *text = failure == 100 ? "no CUDA-capable device is detected" : "told to";
  return 0;
}
#endif

EXPORTED void arrowmind_driver_set(const char* text) {
  const std::lock_guard lock(mutex);
  settings.clear();
  calls = 0;
  launches = graph_launches = 0;
  failed = 0;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    const size_t equals = word.find('=');
    if (equals != std::string::npos) settings[word.substr(0, equals)] = std::atoll(word.c_str() + equals + 1);
  }
  arrowmind::on_host::misread_rows(setting("misread", 0) != 0);
}

// Calls since the last set, then how many are live: contexts, memory, pinned, registered, streams, events,
// modules, graphs, graphs made ready; then launches and such of graphs since the last set.
EXPORTED void arrowmind_driver_report(int64_t* out) {
  const std::lock_guard lock(mutex);
  *out++ = calls;
  for (const auto& kind : live) *out++ = static_cast<int64_t>(kind.size());
  *out++ = launches;
  *out++ = graph_launches;
}

// The stream of the last launch.
EXPORTED uint64_t arrowmind_driver_stream() {
  return last_stream;
}
