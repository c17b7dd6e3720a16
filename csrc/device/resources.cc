#include "device/resources.h"

#include <array>

#include "base/checked.h"

namespace arrowmind::device {

bool Event::is_reached() {
  int32_t reached = 0;
  device()->call({"query event"},
                 [&](ArrowmindWords* words) { return device()->backend().query(handle(), &reached, words); });
  return reached != 0;
}

int64_t Event::nanoseconds_until(Event& later) {
  int64_t nanoseconds = 0;
  device()->call({"time between events"}, [&](ArrowmindWords* words) {
    return device()->backend().elapsed(handle(), later.handle(), &nanoseconds, words);
  });
  return nanoseconds;
}

namespace {

void expect_own(const Device& device, const Device* other, const char* what) {
  if (other == &device) return;
  fail(ErrorKind::kInvalidArgument, "[", device.name(), "] ", what, " of ",
       other == nullptr ? "no device" : other->name(), " given to a stream of another device");
}

}  // namespace

ArrowmindPlace place_in(const Device& device, Slice slice, int64_t bytes, const char* action) {
  if (slice.buffer == nullptr)
    fail(ErrorKind::kInvalidArgument, "[", device.name(), "] ", action, ": no buffer");
  expect_own(device, slice.buffer->device().get(), "a buffer");
  if (!range_fits(slice.offset, bytes, slice.buffer->bytes())) {
    fail(ErrorKind::kInvalidArgument, "[", device.name(), "] ", action, ": ", bytes, " bytes at ",
         slice.offset, " of a buffer of ", slice.buffer->bytes());
  }
  return {slice.buffer->handle(), slice.offset};
}

ArrowmindLaunch launch_of(const Device& device, uint64_t kernel, const Grid& grid, size_t slices,
                          size_t parameter_bytes) {
  if (slices > kMostSlices || parameter_bytes > kMostParameterBytes) {
    fail(ErrorKind::kInvalidArgument, "[", device.name(), "] launch with ", slices, " slices and ",
         parameter_bytes, " bytes of parameters; at most ", kMostSlices, " and ", kMostParameterBytes);
  }
  ArrowmindLaunch launch = {};
  launch.size = sizeof launch;
  for (int i = 0; i < 3; ++i) {
    launch.grid[i] = grid.groups[i];
    launch.group[i] = grid.threads[i];
  }
  launch.shared_bytes = grid.shared_bytes;
  launch.kernel = kernel;
  launch.place_count = static_cast<uint32_t>(slices);
  launch.parameter_bytes = static_cast<uint32_t>(parameter_bytes);
  return launch;
}

void Stream::expect_own(const Device* other, const char* what) const {
  device::expect_own(*device(), other, what);
}

void Stream::copy_in(Slice to, const void* from, int64_t bytes) {
  const ArrowmindPlace place_to = place(to, bytes, "copy in");
  if (bytes == 0) return;
  device()->call({"copy in", bytes}, [&](ArrowmindWords* words) {
    return device()->backend().copy_in(handle(), place_to, from, bytes, words);
  });
}

void Stream::copy_out(void* to, Slice from, int64_t bytes) {
  const ArrowmindPlace place_from = place(from, bytes, "copy out");
  if (bytes == 0) return;
  device()->call({"copy out", bytes}, [&](ArrowmindWords* words) {
    return device()->backend().copy_out(handle(), to, place_from, bytes, words);
  });
}

void Stream::copy_within(Slice to, Slice from, int64_t bytes) {
  const ArrowmindPlace place_to = place(to, bytes, "copy"), place_from = place(from, bytes, "copy");
  if (bytes == 0) return;
  if (to.buffer == from.buffer && to.offset < from.offset + bytes && from.offset < to.offset + bytes) {
    fail(ErrorKind::kInvalidArgument, "[", device()->name(), "] copy ", bytes, " bytes from ", from.offset,
         " to ", to.offset, " of one buffer: they overlap");
  }
  device()->call({"copy", bytes}, [&](ArrowmindWords* words) {
    return device()->backend().copy_within(handle(), place_to, place_from, bytes, words);
  });
}

void Stream::record(Event& event) {
  expect_own(event.device().get(), "an event");
  device()->call({"record event"}, [&](ArrowmindWords* words) {
    return device()->backend().record(event.handle(), handle(), words);
  });
}

void Stream::wait(Event& event) {
  expect_own(event.device().get(), "an event");
  device()->call({"wait for event"}, [&](ArrowmindWords* words) {
    return device()->backend().wait(handle(), event.handle(), words);
  });
}

void Stream::launch(uint64_t kernel, const Grid& grid, std::span<const Slice> slices,
                    std::span<const std::byte> parameters) {
  std::array<ArrowmindPlace, kMostSlices> places;
  ArrowmindLaunch launch = launch_of(*device(), kernel, grid, slices.size(), parameters.size());
  for (size_t i = 0; i < slices.size(); ++i) places[i] = place(slices[i], 0, "launch");
  launch.places = places.data();
  launch.parameters = parameters.data();
  device()->call({"launch"},
                 [&](ArrowmindWords* words) { return device()->backend().launch(handle(), &launch, words); });
}

void Stream::synchronise() {
  device()->call({"synchronise"},
                 [&](ArrowmindWords* words) { return device()->backend().synchronise(handle(), words); });
}

}  // namespace arrowmind::device
