#include "device/device.h"

#include <algorithm>
#include <utility>

#include "device/resources.h"

namespace arrowmind::device {

namespace {

constexpr int32_t kStatuses = 6;
constexpr size_t kLongestName = 128;

Failure failure_of(int32_t status) {
  return status > 0 && status < kStatuses ? static_cast<Failure>(status) : Failure::kFailed;
}

const char* remedy_of(Failure failure) {
  switch (failure) {
    case Failure::kOutOfMemory:
      return "; free memory of the device, give it less, or use device='cpu'";
    case Failure::kLost:
      return "; open it again, or use device='cpu'";
    default:
      return "; use device='cpu' where it goes on";
  }
}

}  // namespace

const char* failure_name(Failure failure) {
  constexpr const char* kNames[kStatuses] = {"no failure", "out of memory", "launch failed",
                                             "lost",       "not supported", "failed"};
  return kNames[static_cast<size_t>(failure)];
}

std::string plain_text(const char* text, size_t capacity) {
  std::string plain;
  for (size_t i = 0; i < capacity && text[i] != '\0' && text[i] != '\n'; ++i) {
    plain += text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
  }
  return plain;
}

void Device::refuse(Failure failure, const Action& action, const std::string& words) const {
  std::string text = cat("[", name_, "] ", action.verb);
  if (action.bytes >= 0) text += cat(" ", action.bytes, " bytes");
  if (*action.object != '\0') text += cat(" '", plain_text(action.object, kLongestName), "'");
  text += cat(": ", failure_name(failure));
  if (!words.empty()) text += cat(" (", words, ")");
  throw DeviceFailure(failure, text + remedy_of(failure));
}

void Device::answer(int32_t status, const Action& action, const ArrowmindWords& words) {
  const Failure failure = failure_of(status);
  if (failure == Failure::kLost) lost_.store(true, std::memory_order_release);
  const std::string said = plain_text(words.text, sizeof words.text);
  refuse(failure, action, said.empty() ? cat("status ", status) : said);
}

DeviceInfo describe(const ArrowmindBackend& backend, int32_t index, const std::string& name) {
  ArrowmindDeviceInfo info = {};
  info.size = sizeof info;
  ArrowmindWords words = {};
  int32_t status = ARROWMIND_FAILED;
  try {
    status = backend.describe(index, &info, &words);
  } catch (...) {  // against the rules of back ends
    throw DeviceFailure(Failure::kFailed, cat("[", name, "] describe: the back end threw an exception"));
  }
  if (status != ARROWMIND_OK) {
    throw DeviceFailure(failure_of(status), cat("[", name, "] describe: ", failure_name(failure_of(status)),
                                                " (", plain_text(words.text, sizeof words.text), ")"));
  }
  return {.name = plain_text(info.name, sizeof info.name),
          .driver = plain_text(info.driver, sizeof info.driver),
          .architecture = plain_text(info.architecture, sizeof info.architecture),
          .total_bytes = std::max<int64_t>(info.total_bytes, 0),
          .alignment_bytes = std::max<int64_t>(info.alignment_bytes, 1),
          .most_place_bytes = std::max<int64_t>(info.most_place_bytes, 0),
          .shares_host_memory = (info.flags & ARROWMIND_SHARES_HOST_MEMORY) != 0,
          .is_software = (info.flags & ARROWMIND_IS_SOFTWARE) != 0};
}

std::shared_ptr<Device> Device::open(const ArrowmindBackend& backend, int32_t index, std::string name) {
  std::shared_ptr<Device> device(new Device(backend, std::move(name)));
  device->info_ = describe(backend, index, device->name_);
  device->call({"open"}, [&](ArrowmindWords* words) { return backend.open(index, &device->handle_, words); });
  if (device->handle_ == nullptr) device->refuse(Failure::kFailed, {"open"}, "the back end gave no device");
  return device;
}

Device::~Device() {
  if (handle_ != nullptr) backend_.close(handle_);
}

MemoryInfo Device::memory() {
  MemoryInfo info;
  call({"memory"}, [&](ArrowmindWords* words) {
    return backend_.memory_info(handle_, &info.free_bytes, &info.total_bytes, words);
  });
  return info;
}

Buffer Device::allocate(int64_t bytes) {
  if (bytes <= 0) fail(ErrorKind::kInvalidArgument, "[", name_, "] allocate ", bytes, " bytes; at least 1");
  const Action action = {"allocate", bytes};
  Taken taken(shared_from_this(), bytes);
  const int64_t bound = limit_.load(), all = taken_.load();
  if (bound > 0 && all > bound) {
    refuse(Failure::kOutOfMemory, action, cat("of the ", bound, " it may take ", all - bytes, " are taken"));
  }
  uint64_t memory = 0;
  call(action, [&](ArrowmindWords* words) { return backend_.allocate(handle_, bytes, &memory, words); });
  if (memory == 0) refuse(Failure::kFailed, action, "the back end gave no memory");
  return {std::move(taken), memory};
}

Stream Device::stream() {
  ArrowmindStream* stream = nullptr;
  call({"create stream"},
       [&](ArrowmindWords* words) { return backend_.create_stream(handle_, &stream, words); });
  if (stream == nullptr) refuse(Failure::kFailed, {"create stream"}, "the back end gave none");
  return {shared_from_this(), stream};
}

Event Device::event() {
  ArrowmindEvent* event = nullptr;
  call({"create event"},
       [&](ArrowmindWords* words) { return backend_.create_event(handle_, &event, words); });
  if (event == nullptr) refuse(Failure::kFailed, {"create event"}, "the back end gave none");
  return {shared_from_this(), event};
}

PinnedMemory Device::pinned(int64_t bytes) {
  const Action action = {"pin", bytes};
  if (bytes <= 0)
    fail(ErrorKind::kInvalidArgument, "[", name_, "] ", action.verb, " ", bytes, " bytes; at least 1");
  if (backend_.allocate_pinned == nullptr) refuse(Failure::kNotSupported, action, "the back end has none");
  void* address = nullptr;
  call(action,
       [&](ArrowmindWords* words) { return backend_.allocate_pinned(handle_, bytes, &address, words); });
  if (address == nullptr) refuse(Failure::kFailed, action, "the back end gave no memory");
  return {shared_from_this(), address, bytes};
}

Registration Device::register_host(const void* address, int64_t bytes) {
  const Action action = {"register", bytes, "host memory"};
  if (address == nullptr || bytes <= 0)
    fail(ErrorKind::kInvalidArgument, "[", name_, "] ", action.verb, " ", bytes, " bytes; at least 1");
  if (backend_.register_host == nullptr) refuse(Failure::kNotSupported, action, "the back end cannot");
  call(action, [&](ArrowmindWords* words) { return backend_.register_host(handle_, address, bytes, words); });
  return {shared_from_this(), address};
}

Buffer Device::adopt(uint64_t address, int64_t bytes) {
  const Action action = {"adopt", bytes, "memory"};
  if (address == 0 || bytes <= 0)
    fail(ErrorKind::kInvalidArgument, "[", name_, "] adopt ", bytes, " bytes at ", address, "; at least 1");
  if (backend_.adopt_memory == nullptr) refuse(Failure::kNotSupported, action, "the back end cannot");
  uint64_t memory = 0;
  call(action,
       [&](ArrowmindWords* words) { return backend_.adopt_memory(handle_, address, bytes, &memory, words); });
  if (memory == 0) refuse(Failure::kFailed, action, "the back end gave no memory");
  return {shared_from_this(), memory, bytes};
}

Stream Device::adopt_stream(uint64_t handle) {
  const Action action = {"adopt a stream"};
  if (backend_.adopt_stream == nullptr) refuse(Failure::kNotSupported, action, "the back end cannot");
  ArrowmindStream* stream = nullptr;
  call(action, [&](ArrowmindWords* words) { return backend_.adopt_stream(handle_, handle, &stream, words); });
  if (stream == nullptr) refuse(Failure::kFailed, action, "the back end gave none");
  return {shared_from_this(), stream};
}

uint64_t Device::kernel(const std::string& name) {
  const Action action = {"find kernel", -1, name.c_str()};
  uint64_t kernel = 0;
  call(action,
       [&](ArrowmindWords* words) { return backend_.find_kernel(handle_, name.c_str(), &kernel, words); });
  if (kernel == 0) refuse(Failure::kFailed, action, "the back end gave none");
  return kernel;
}

KernelShape Device::kernel_shape(uint64_t kernel, const std::string& name) {
  const Action action = {"describe kernel", -1, name.c_str()};
  if (backend_.describe_kernel == nullptr) {
    refuse(Failure::kNotSupported, action, "the back end has no kernels for models");
  }
  ArrowmindKernelInfo info = {};
  info.size = sizeof info;
  call(action,
       [&](ArrowmindWords* words) { return backend_.describe_kernel(handle_, kernel, &info, words); });
  KernelShape shape;
  for (size_t i = 0; i < 3; ++i) {
    if (info.group[i] == 0 || info.tile[i] == 0)
      refuse(Failure::kFailed, action, "the back end gave no shape");
    shape.threads[i] = info.group[i];
    shape.tile[i] = info.tile[i];
  }
  shape.shared_bytes = info.shared_bytes;
  return shape;
}

}  // namespace arrowmind::device
