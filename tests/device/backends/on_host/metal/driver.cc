// What csrc/device/metal asks of Metal, answered by the host: memory is its own, work is done when it is
// committed, threads are fibers. For tests only.
//
// arrowmind_driver_set() takes words `key=value` separated by commas, and begins anew:
//   devices, memory     what is told (1, 1 GiB)
//   call=N,failure=F    the N-th call that can fail from now on answers status F
//   sticky=1            once something failed, all later calls fail alike
//   backward=1          fibers run in the other order
#include "device/metal/driver.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <sstream>

#include "on_host/fibers.h"
#include "on_host/metal/kernels.h"

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace arrowmind::metal {
namespace {

std::recursive_mutex mutex;
std::map<std::string, int64_t> settings;
int64_t calls = 0;
int32_t failed = 0;  // sticky
int64_t used_bytes = 0;
enum Kind { kBuffers, kFunctions, kQueues, kSignals, kBatches, kKinds };
std::atomic<int64_t> live[kKinds];

int64_t setting(const char* name, int64_t otherwise) {
  const std::lock_guard lock(mutex);
  const auto found = settings.find(name);
  return found == settings.end() ? otherwise : found->second;
}

// What a call that can fail begins with.
void fault() {
  const std::lock_guard lock(mutex);
  ++calls;
  if (failed == 0 && calls != setting("call", 0)) return;
  const auto failure = failed != 0 ? failed : static_cast<int32_t>(setting("failure", ARROWMIND_FAILED));
  if (setting("sticky", 0) != 0) failed = failure;
  throw Refusal{failure, "told to"};
}

template <Kind kind>
struct Counted {
  Counted() { ++live[kind]; }
  ~Counted() { --live[kind]; }
};

struct HostBuffer : Buffer, Counted<kBuffers> {
  explicit HostBuffer(int64_t size) : bytes(size) {
    const size_t rounded = (static_cast<size_t>(size) + 255) / 256 * 256;
    memory = static_cast<char*>(std::aligned_alloc(256, rounded));
    if (memory == nullptr) throw Refusal{ARROWMIND_OUT_OF_MEMORY, "the host has none"};
    std::memset(memory, 0xff, rounded);
    const std::lock_guard lock(mutex);
    used_bytes += bytes;
  }
  ~HostBuffer() override {
    std::free(memory);
    const std::lock_guard lock(mutex);
    used_bytes -= bytes;
  }
  char* contents() override { return memory; }

  char* memory;
  int64_t bytes;
};

struct HostFunction : Function, Counted<kFunctions> {
  const on_host::Kernel* kernel = nullptr;
};

struct HostSignal : Signal, Counted<kSignals> {
  std::atomic<uint64_t> value = 0;
};

struct HostBatch : Batch, Counted<kBatches> {
  void dispatch(const Dispatch& dispatch) override {
    const auto* kernel = static_cast<const HostFunction*>(dispatch.function)->kernel;
    const auto* bytes = static_cast<const char*>(dispatch.parameters);
    std::vector<char> parameters(bytes, bytes + dispatch.parameter_bytes);
    work.push_back([dispatch, kernel, parameters]() mutable {
      std::vector<void*> buffers;
      for (const auto& [buffer, offset] : dispatch.places) buffers.push_back(buffer->contents() + offset);
      buffers.push_back(parameters.data());
      on_host::Arguments arguments = {buffers.data()};
      struct Call {
        const on_host::Kernel* kernel;
        const on_host::Arguments* arguments;
      } call = {kernel, &arguments};
      const auto body = [](void* of) {
        const auto* own = static_cast<const Call*>(of);
        own->kernel->run(*own->arguments);
      };
      fibers::run(dispatch.grid, dispatch.threads, setting("backward", 0) != 0, body, &call);
    });
  }
  void copy(const std::shared_ptr<Buffer>& to, int64_t to_offset, const std::shared_ptr<Buffer>& from,
            int64_t from_offset, int64_t bytes) override {
    if ((to_offset | from_offset | bytes) % 4 != 0) throw Refusal{ARROWMIND_FAILED, "a copy not of words"};
    work.push_back([=] {
      std::memcpy(to->contents() + to_offset, from->contents() + from_offset, static_cast<size_t>(bytes));
    });
  }
  void wait(const std::shared_ptr<Signal>& signal, uint64_t value) override {
    work.push_back([=] {
      if (static_cast<HostSignal*>(signal.get())->value >= value) return;
      std::fprintf(stderr, "a batch waits for one that was not committed\n");
      std::abort();
    });
  }
  void raise(const std::shared_ptr<Signal>& signal, uint64_t value) override {
    raised.emplace_back(signal, value);
  }
  void commit() override {
    fault();
    for (const auto& step : work) step();
    work.clear();
    for (const auto& [signal, value] : raised) static_cast<HostSignal*>(signal.get())->value = value;
    end = std::chrono::steady_clock::now();
  }
  bool is_done() override { return true; }
  void finish() override { fault(); }
  int64_t end_nanoseconds() override {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(end.time_since_epoch()).count();
  }

  std::vector<std::function<void()>> work;
  std::vector<std::pair<std::shared_ptr<Signal>, uint64_t>> raised;
  std::chrono::steady_clock::time_point end;
};

struct HostQueue : Queue, Counted<kQueues> {
  std::shared_ptr<Batch> begin() override {
    fault();
    return std::make_shared<HostBatch>();
  }
};

struct HostGpu : Gpu {
  void describe(ArrowmindDeviceInfo* info) override {
    std::snprintf(info->name, sizeof info->name, "fibers");
    std::snprintf(info->driver, sizeof info->driver, "Metal on the host");
    std::snprintf(info->architecture, sizeof info->architecture, "fibers");
    info->flags = ARROWMIND_SHARES_HOST_MEMORY;
    info->total_bytes = setting("memory", int64_t{1} << 30);
    info->alignment_bytes = 256;
  }
  int64_t free_bytes() override {
    fault();
    const std::lock_guard lock(mutex);
    return setting("memory", int64_t{1} << 30) - used_bytes;
  }
  std::shared_ptr<Buffer> allocate(int64_t bytes) override {
    const std::lock_guard lock(mutex);
    if (bytes > free_bytes()) throw Refusal{ARROWMIND_OUT_OF_MEMORY, "no room for it"};
    return std::make_shared<HostBuffer>(bytes);
  }
  std::unique_ptr<Function> make(const char* name, const char* text) override {
    fault();
    if (std::strstr(text, (std::string("kernel void arrowmind_") + name + "(").c_str()) == nullptr) {
      throw Refusal{ARROWMIND_FAILED, "the text has no function of this name"};
    }
    auto made = std::make_unique<HostFunction>();
    for (const auto* one = on_host::Kernel::first(); one != nullptr; one = one->next) {
      if (std::strcmp(one->name, name) == 0) made->kernel = one;
    }
    if (made->kernel == nullptr) throw Refusal{ARROWMIND_NOT_SUPPORTED, "not compiled for fibers"};
    return made;
  }
  std::unique_ptr<Queue> make_queue() override {
    fault();
    return std::make_unique<HostQueue>();
  }
  std::shared_ptr<Signal> make_signal() override {
    fault();
    return std::make_shared<HostSignal>();
  }
};

}  // namespace

std::vector<std::shared_ptr<Gpu>> gpus() {
  if (setting("devices", 1) == 0) throw Refusal{ARROWMIND_NO_DEVICE, "Metal knows of none"};
  return {std::make_shared<HostGpu>()};
}

}  // namespace arrowmind::metal

EXPORTED void arrowmind_driver_set(const char* text) {
  using namespace arrowmind::metal;
  const std::lock_guard lock(mutex);
  settings.clear();
  calls = 0;
  failed = 0;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    const size_t equals = word.find('=');
    if (equals != std::string::npos) settings[word.substr(0, equals)] = std::atoll(word.c_str() + equals + 1);
  }
}

// Calls since the last set, then how many are live: buffers, functions, queues, signals, batches.
EXPORTED void arrowmind_driver_report(int64_t* out) {
  using namespace arrowmind::metal;
  const std::lock_guard lock(mutex);
  *out++ = calls;
  for (const auto& count : live) *out++ = count;
}
