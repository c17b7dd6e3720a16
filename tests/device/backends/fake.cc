// A device that fails where it is told to: the cpu device behind counters and faults. Memory begins as NaN
// and ends as such; a launch, alone or in a graph, over memory that is not there fails. For tests only.
//
// Settings are words `key=value` separated by commas, in ARROWMIND_FAKE_DEVICE when it is loaded, then given
// to arrowmind_fake_set(); each set begins anew and sets the counters of calls to 0:
//   devices=N     how many there are (1)
//   probe=N       answer to the probe (ArrowmindProbe)
//   flags=N       of the device (ArrowmindDeviceFlags)
//   memory=N      bytes that the device has (1 GiB)
//   place=N       bytes that a kernel takes at a place; 0: no bound
//   binds=1       launches that are given more there are refused
//   rate=N        bytes per second of copies from and to the host, of each stream; 0: as fast as it goes
//   registering=N what the registration of host memory answers (ArrowmindStatus)
//   allocation=N  the N-th allocation, from 1 on, is out of memory
//   launch=N      the N-th launch fails, where a run of a graph is one, too
//   graph=N       the N-th graph that runs fails
//   making=N      what the making of graphs answers (ArrowmindStatus)
//   lost=N        the N-th call that can fail, and all after it, find the device lost
//   at=N,status=S the N-th call that can fail answers S (ArrowmindStatus)
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "device/cpu_backend.h"
#include "device/cpu_kernels.h"

namespace {

using arrowmind::device::cpu_backend;
using arrowmind::device::CpuKernelRow;

struct Counts {
  int64_t calls, devices, allocations, bytes, streams, events, pinned, registrations, graphs, launches, waits,
      total_allocations, graph_runs, stale;
};

std::mutex mutex;
std::map<std::string, int64_t> settings;
std::map<uint64_t, int64_t> sizes;
Counts counts = {};

int64_t setting(const char* name, int64_t otherwise) {
  const auto found = settings.find(name);
  return found == settings.end() ? otherwise : found->second;
}

void set(const char* text) {
  const std::lock_guard lock(mutex);
  settings.clear();
  counts.calls = counts.launches = counts.waits = counts.total_allocations = 0;
  counts.graph_runs = counts.stale = 0;
  std::istringstream words(text == nullptr ? "" : text);
  for (std::string word; std::getline(words, word, ',');) {
    const size_t equals = word.find('=');
    if (equals != std::string::npos) settings[word.substr(0, equals)] = std::atoll(word.c_str() + equals + 1);
  }
}

int32_t say(ArrowmindWords* words, int32_t status, const char* text) {
  std::snprintf(words->text, sizeof words->text, "fake: %s, call %lld", text,
                static_cast<long long>(counts.calls));
  return status;
}

// What the fault settings make of the call that begins now. The lock is held.
int32_t fault(ArrowmindWords* words) {
  ++counts.calls;
  const int64_t lost = setting("lost", 0);
  if (lost > 0 && counts.calls >= lost) return say(words, ARROWMIND_LOST, "the device fell off the bus");
  if (counts.calls == setting("at", 0)) {
    return say(words, static_cast<int32_t>(setting("status", ARROWMIND_FAILED)), "told to fail");
  }
  return ARROWMIND_OK;
}

// A call that can fail, and what is there more when it did not.
template <typename Call>
int32_t guarded(ArrowmindWords* words, int64_t* live, Call call) {
  {
    const std::lock_guard lock(mutex);
    if (const int32_t status = fault(words); status != ARROWMIND_OK) return status;
  }
  const int32_t status = call();
  const std::lock_guard lock(mutex);
  if (status == ARROWMIND_OK && live != nullptr) ++*live;
  return status;
}

void gone(int64_t* live) {
  const std::lock_guard lock(mutex);
  --*live;
}

int32_t probe(int32_t* count, ArrowmindWords* words) {
  const std::lock_guard lock(mutex);
  *count = static_cast<int32_t>(setting("devices", 1));
  const auto answer = static_cast<int32_t>(setting("probe", ARROWMIND_USABLE));
  return answer == ARROWMIND_USABLE ? answer : say(words, answer, "told to have none");
}

int32_t describe(int32_t index, ArrowmindDeviceInfo* info, ArrowmindWords*) {
  const std::lock_guard lock(mutex);
  std::snprintf(info->name, sizeof info->name, "fake %d", index);
  std::snprintf(info->driver, sizeof info->driver, "0.%d", index);
  std::snprintf(info->architecture, sizeof info->architecture, "none");
  info->flags = static_cast<uint32_t>(setting("flags", 0));
  info->total_bytes = setting("memory", int64_t{1} << 30);
  info->alignment_bytes = 256;
  info->most_place_bytes = setting("place", 0);
  return ARROWMIND_OK;
}

int32_t open(int32_t, ArrowmindDevice** device, ArrowmindWords* words) {
  return guarded(words, &counts.devices, [&] { return cpu_backend().open(0, device, words); });
}

void close(ArrowmindDevice* device) {
  cpu_backend().close(device);
  gone(&counts.devices);
}

int32_t memory_info(ArrowmindDevice*, int64_t* free_bytes, int64_t* total_bytes, ArrowmindWords* words) {
  const std::lock_guard lock(mutex);
  *total_bytes = setting("memory", int64_t{1} << 30);
  *free_bytes = *total_bytes - counts.bytes;
  return fault(words);
}

int32_t allocate(ArrowmindDevice* device, int64_t bytes, uint64_t* memory, ArrowmindWords* words) {
  const std::lock_guard lock(mutex);
  if (const int32_t status = fault(words); status != ARROWMIND_OK) return status;
  if (++counts.total_allocations == setting("allocation", 0))
    return say(words, ARROWMIND_OUT_OF_MEMORY, "told to");
  if (bytes > setting("memory", int64_t{1} << 30) - counts.bytes)
    return say(words, ARROWMIND_OUT_OF_MEMORY, "full");
  const int32_t status = cpu_backend().allocate(device, bytes, memory, words);
  if (status != ARROWMIND_OK) return status;
  std::memset(reinterpret_cast<void*>(*memory), 0xff, static_cast<size_t>(bytes));
  sizes[*memory] = bytes;
  counts.bytes += bytes;
  ++counts.allocations;
  return ARROWMIND_OK;
}

void release(ArrowmindDevice* device, uint64_t memory) {
  {
    const std::lock_guard lock(mutex);
    counts.bytes -= sizes.at(memory);
    sizes.erase(memory);
    --counts.allocations;
  }
  cpu_backend().release(device, memory);
}

// Whether all that launches name is there; the lock is held.
bool is_there(const ArrowmindLaunch& what) {
  for (uint32_t i = 0; i < what.place_count; ++i) {
    const uint64_t place = what.places[i].memory + static_cast<uint64_t>(what.places[i].offset);
    const auto after = sizes.upper_bound(place);
    if (after == sizes.begin()) return false;
    const auto& [begin, bytes] = *std::prev(after);
    if (place > begin + static_cast<uint64_t>(bytes)) return false;
  }
  return true;
}

// Whether a launch is given more memory at a place than the device takes, from there to its end.
bool is_too_long(const ArrowmindLaunch& what) {
  const int64_t most = setting("place", 0);
  if (most == 0 || setting("binds", 0) == 0) return false;
  for (uint32_t i = 0; i < what.place_count; ++i) {
    const uint64_t place = what.places[i].memory + static_cast<uint64_t>(what.places[i].offset);
    const auto& [begin, bytes] = *std::prev(sizes.upper_bound(place));
    if (static_cast<int64_t>(begin) + bytes - static_cast<int64_t>(place) > most) return true;
  }
  return false;
}

int32_t create_stream(ArrowmindDevice* device, ArrowmindStream** stream, ArrowmindWords* words) {
  return guarded(words, &counts.streams, [&] { return cpu_backend().create_stream(device, stream, words); });
}

void destroy_stream(ArrowmindStream* stream) {
  cpu_backend().destroy_stream(stream);
  gone(&counts.streams);
}

int32_t synchronise(ArrowmindStream* stream, ArrowmindWords* words) {
  cpu_backend().synchronise(stream, words);  // whatever it then answers: nothing is under way any more
  return guarded(words, nullptr, [] {
    const std::lock_guard lock(mutex);
    ++counts.waits;
    return ARROWMIND_OK;
  });
}

void sleep_in_order(void* const*, const void* parameters) {
  double seconds = 0;
  std::memcpy(&seconds, parameters, sizeof seconds);
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

// The stream, not the caller, takes as long as a copy of so many bytes; a kernel like any other does it.
int32_t take_time(ArrowmindStream* stream, int64_t bytes, ArrowmindWords* words) {
  static constexpr CpuKernelRow kSleep = {"sleep", sleep_in_order, 0, sizeof(double)};
  double seconds = 0;
  {
    const std::lock_guard lock(mutex);
    const int64_t rate = setting("rate", 0);
    if (rate <= 0) return ARROWMIND_OK;
    seconds = static_cast<double>(bytes) / static_cast<double>(rate);
  }
  ArrowmindLaunch what = {};
  what.size = sizeof what;
  what.kernel = reinterpret_cast<uint64_t>(&kSleep);
  what.parameters = &seconds;
  what.parameter_bytes = sizeof seconds;
  return cpu_backend().launch(stream, &what, words);
}

int32_t copy_in(ArrowmindStream* stream, ArrowmindPlace to, const void* from, int64_t bytes,
                ArrowmindWords* words) {
  return guarded(words, nullptr, [&] {
    if (const int32_t status = take_time(stream, bytes, words); status != ARROWMIND_OK) return status;
    return cpu_backend().copy_in(stream, to, from, bytes, words);
  });
}

int32_t copy_out(ArrowmindStream* stream, void* to, ArrowmindPlace from, int64_t bytes,
                 ArrowmindWords* words) {
  return guarded(words, nullptr, [&] {
    if (const int32_t status = take_time(stream, bytes, words); status != ARROWMIND_OK) return status;
    return cpu_backend().copy_out(stream, to, from, bytes, words);
  });
}

int32_t copy_within(ArrowmindStream* stream, ArrowmindPlace to, ArrowmindPlace from, int64_t bytes,
                    ArrowmindWords* words) {
  return guarded(words, nullptr, [&] { return cpu_backend().copy_within(stream, to, from, bytes, words); });
}

int32_t create_event(ArrowmindDevice* device, ArrowmindEvent** event, ArrowmindWords* words) {
  return guarded(words, &counts.events, [&] { return cpu_backend().create_event(device, event, words); });
}

void destroy_event(ArrowmindEvent* event) {
  cpu_backend().destroy_event(event);
  gone(&counts.events);
}

int32_t record(ArrowmindEvent* event, ArrowmindStream* stream, ArrowmindWords* words) {
  return guarded(words, nullptr, [&] { return cpu_backend().record(event, stream, words); });
}

int32_t wait(ArrowmindStream* stream, ArrowmindEvent* event, ArrowmindWords* words) {
  return guarded(words, nullptr, [&] { return cpu_backend().wait(stream, event, words); });
}

int32_t query(ArrowmindEvent* event, int32_t* reached, ArrowmindWords* words) {
  return guarded(words, nullptr, [&] { return cpu_backend().query(event, reached, words); });
}

int32_t elapsed(ArrowmindEvent* from, ArrowmindEvent* to, int64_t* nanoseconds, ArrowmindWords* words) {
  return guarded(words, nullptr, [&] { return cpu_backend().elapsed(from, to, nanoseconds, words); });
}

int32_t find_kernel(ArrowmindDevice* device, const char* name, uint64_t* kernel, ArrowmindWords* words) {
  return guarded(words, nullptr, [&] { return cpu_backend().find_kernel(device, name, kernel, words); });
}

int32_t describe_kernel(ArrowmindDevice* device, uint64_t kernel, ArrowmindKernelInfo* info,
                        ArrowmindWords* words) {
  return guarded(words, nullptr, [&] { return cpu_backend().describe_kernel(device, kernel, info, words); });
}

int32_t launch(ArrowmindStream* stream, const ArrowmindLaunch* what, ArrowmindWords* words) {
  return guarded(words, nullptr, [&]() -> int32_t {
    {
      const std::lock_guard lock(mutex);
      if (++counts.launches + counts.graph_runs == setting("launch", 0)) {
        return say(words, ARROWMIND_LAUNCH_FAILED, "told to");
      }
      if (!is_there(*what)) return ++counts.stale, say(words, ARROWMIND_LAUNCH_FAILED, "memory is gone");
      if (is_too_long(*what)) return say(words, ARROWMIND_NOT_SUPPORTED, "a place has too many bytes");
    }
    return cpu_backend().launch(stream, what, words);
  });
}

// What a graph was made of, to see whether its memory is still there.
struct Known {
  std::vector<ArrowmindLaunch> launches;
  std::vector<std::vector<ArrowmindPlace>> places;
};
std::map<ArrowmindGraph*, Known> graphs;

int32_t make_graph(ArrowmindDevice* device, const ArrowmindLaunch* launches, uint32_t count,
                   ArrowmindGraph** graph, ArrowmindWords* words) {
  return guarded(words, &counts.graphs, [&]() -> int32_t {
    {
      const std::lock_guard lock(mutex);
      const auto answer = static_cast<int32_t>(setting("making", ARROWMIND_OK));
      if (answer != ARROWMIND_OK) return say(words, answer, "told to make none");
    }
    const int32_t status = cpu_backend().make_graph(device, launches, count, graph, words);
    if (status != ARROWMIND_OK) return status;
    Known known;
    for (uint32_t i = 0; i < count; ++i) {
      known.launches.push_back(launches[i]);
      known.places.emplace_back(launches[i].places, launches[i].places + launches[i].place_count);
      known.launches.back().places = known.places.back().data();
    }
    const std::lock_guard lock(mutex);
    graphs[*graph] = std::move(known);
    return ARROWMIND_OK;
  });
}

void destroy_graph(ArrowmindGraph* graph) {
  {
    const std::lock_guard lock(mutex);
    graphs.erase(graph);
  }
  cpu_backend().destroy_graph(graph);
  gone(&counts.graphs);
}

int32_t run_graph(ArrowmindStream* stream, ArrowmindGraph* graph, ArrowmindWords* words) {
  return guarded(words, nullptr, [&]() -> int32_t {
    {
      const std::lock_guard lock(mutex);
      const bool fails = ++counts.graph_runs == setting("graph", 0) ||
                         counts.launches + counts.graph_runs == setting("launch", 0);
      if (fails) return say(words, ARROWMIND_LAUNCH_FAILED, "told to");
      const auto& launches = graphs.at(graph).launches;
      if (!std::all_of(launches.begin(), launches.end(), is_there)) {
        return ++counts.stale, say(words, ARROWMIND_LAUNCH_FAILED, "memory of a graph is gone");
      }
    }
    return cpu_backend().run_graph(stream, graph, words);
  });
}

int32_t allocate_pinned(ArrowmindDevice* device, int64_t bytes, void** address, ArrowmindWords* words) {
  return guarded(words, &counts.pinned,
                 [&] { return cpu_backend().allocate_pinned(device, bytes, address, words); });
}

void release_pinned(ArrowmindDevice* device, void* address) {
  cpu_backend().release_pinned(device, address);
  gone(&counts.pinned);
}

int32_t register_host(ArrowmindDevice*, const void*, int64_t, ArrowmindWords* words) {
  return guarded(words, &counts.registrations, [&] {
    const std::lock_guard lock(mutex);
    const auto answer = static_cast<int32_t>(setting("registering", ARROWMIND_OK));
    return answer == ARROWMIND_OK ? answer : say(words, answer, "told to register nothing");
  });
}

void unregister_host(ArrowmindDevice*, const void*) {
  gone(&counts.registrations);
}

constexpr ArrowmindBackend kFake = {
    ARROWMIND_DEVICE_ABI,
    sizeof(ArrowmindBackend),
    probe,
    describe,
    open,
    close,
    memory_info,
    allocate,
    release,
    create_stream,
    destroy_stream,
    synchronise,
    copy_in,
    copy_out,
    copy_within,
    create_event,
    destroy_event,
    record,
    wait,
    query,
    elapsed,
    find_kernel,
    launch,
    allocate_pinned,
    release_pinned,
    register_host,
    unregister_host,
    describe_kernel,
    nullptr,  // adopts no streams
    nullptr,  // nor memory
    make_graph,
    destroy_graph,
    run_graph,
};

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED const ArrowmindBackend* arrowmind_device_backend(uint32_t) {
  static const bool is_set = [] {
    if (settings.empty()) set(std::getenv("ARROWMIND_FAKE_DEVICE"));
    return true;
  }();
  return is_set ? &kFake : nullptr;
}

EXPORTED void arrowmind_fake_set(const char* text) {
  set(text);
}

// Calls since the last set, then what is live now: devices, allocations, bytes, streams, events, pinned,
// registrations, graphs; then since the last set launches, runs of graphs, and such over memory that was
// gone.
EXPORTED void arrowmind_fake_report(int64_t* out) {
  const std::lock_guard lock(mutex);
  const int64_t found[] = {counts.calls,   counts.devices,  counts.allocations, counts.bytes,
                           counts.streams, counts.events,   counts.pinned,      counts.registrations,
                           counts.graphs,  counts.launches, counts.graph_runs,  counts.stale};
  std::copy(std::begin(found), std::end(found), out);
}

// Calls since the last set: launches, and waits of the host for a stream.
EXPORTED void arrowmind_fake_work(int64_t* out) {
  const std::lock_guard lock(mutex);
  out[0] = counts.launches;
  out[1] = counts.waits;
}
