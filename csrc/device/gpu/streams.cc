// Streams, copies and events of the back end of CUDA and HIP.
#include "device/gpu/calls.h"

#include <new>

namespace arrowmind::device::gpu {
namespace {

constexpr unsigned kNonBlocking = 1;

}  // namespace

int32_t create_stream(ArrowmindDevice* device, ArrowmindStream** stream, ArrowmindWords* words) {
  void* handle = nullptr;
  const int32_t status =
      ask(device, words, [&](const Driver& driver) { return driver.create_stream(&handle, kNonBlocking); });
  if (status != ARROWMIND_OK) return status;
  *stream = new (std::nothrow) ArrowmindStream{.device = device, .handle = handle};
  if (*stream != nullptr) return ARROWMIND_OK;
  give_back(device, [&](const Driver& driver) { driver.destroy_stream(handle); });
  return ARROWMIND_OUT_OF_MEMORY;
}

void destroy_stream(ArrowmindStream* stream) {
  if (stream->is_foreign) return delete stream;
  give_back(stream->device, [&](const Driver& driver) {
    driver.synchronise(stream->handle);
    driver.destroy_stream(stream->handle);
  });
  delete stream;
}

int32_t synchronise(ArrowmindStream* stream, ArrowmindWords* words) {
  return ask(stream->device, words, [&](const Driver& driver) { return driver.synchronise(stream->handle); });
}

int32_t copy_in(ArrowmindStream* stream, ArrowmindPlace to, const void* from, int64_t bytes,
                ArrowmindWords* words) {
  return ask(stream->device, words, [&](const Driver& driver) {
    return driver.copy_in(address(to), from, static_cast<size_t>(bytes), stream->handle);
  });
}

int32_t copy_out(ArrowmindStream* stream, void* to, ArrowmindPlace from, int64_t bytes,
                 ArrowmindWords* words) {
  return ask(stream->device, words, [&](const Driver& driver) {
    return driver.copy_out(to, address(from), static_cast<size_t>(bytes), stream->handle);
  });
}

int32_t copy_within(ArrowmindStream* stream, ArrowmindPlace to, ArrowmindPlace from, int64_t bytes,
                    ArrowmindWords* words) {
  return ask(stream->device, words, [&](const Driver& driver) {
    return driver.copy_within(address(to), address(from), static_cast<size_t>(bytes), stream->handle);
  });
}

int32_t create_event(ArrowmindDevice* device, ArrowmindEvent** event, ArrowmindWords* words) {
  void* handle = nullptr;
  const int32_t status =
      ask(device, words, [&](const Driver& driver) { return driver.create_event(&handle, 0); });
  if (status != ARROWMIND_OK) return status;
  *event = new (std::nothrow) ArrowmindEvent{.device = device, .handle = handle};
  if (*event != nullptr) return ARROWMIND_OK;
  give_back(device, [&](const Driver& driver) { driver.destroy_event(handle); });
  return ARROWMIND_OUT_OF_MEMORY;
}

void destroy_event(ArrowmindEvent* event) {
  give_back(event->device, [&](const Driver& driver) { driver.destroy_event(event->handle); });
  delete event;
}

int32_t record(ArrowmindEvent* event, ArrowmindStream* stream, ArrowmindWords* words) {
  const int32_t status = ask(event->device, words, [&](const Driver& driver) {
    return driver.record(event->handle, stream->handle);
  });
  if (status == ARROWMIND_OK) event->is_recorded = true;
  return status;
}

int32_t wait(ArrowmindStream* stream, ArrowmindEvent* event, ArrowmindWords* words) {
  return ask(stream->device, words,
             [&](const Driver& driver) { return driver.wait(stream->handle, event->handle, 0); });
}

int32_t query(ArrowmindEvent* event, int32_t* reached, ArrowmindWords* words) {
  return ask(event->device, words, [&](const Driver& driver) {
    const int answer = driver.query(event->handle);
    *reached = answer == kSuccess ? 1 : 0;
    return answer == kNotReady ? int{kSuccess} : answer;
  });
}

int32_t elapsed(ArrowmindEvent* from, ArrowmindEvent* to, int64_t* nanoseconds, ArrowmindWords* words) {
  for (ArrowmindEvent* event : {from, to}) {
    if (!event->is_recorded) return say(words, ARROWMIND_FAILED, "an event was never recorded");
  }
  float milliseconds = 0;
  const int32_t status = ask(from->device, words, [&](const Driver& driver) {
    return driver.elapsed(&milliseconds, from->handle, to->handle);
  });
  *nanoseconds = static_cast<int64_t>(static_cast<double>(milliseconds) * 1e6);
  return status;
}

int32_t adopt_stream(ArrowmindDevice* device, uint64_t handle, ArrowmindStream** stream,
                     ArrowmindWords* words) {
  const int32_t status = ask(device, words, [](const Driver&) { return int{kSuccess}; });
  if (status != ARROWMIND_OK) return status;
  *stream = new (std::nothrow)
      ArrowmindStream{.device = device, .handle = reinterpret_cast<void*>(handle), .is_foreign = true};
  return *stream == nullptr ? ARROWMIND_OUT_OF_MEMORY : ARROWMIND_OK;
}

}  // namespace arrowmind::device::gpu
