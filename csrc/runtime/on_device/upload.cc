#include "runtime/on_device/upload.h"

#include "arrow/mapped_file.h"

namespace arrowmind::runtime {
namespace {

using Clock = std::chrono::steady_clock;

// What is smaller is not worth a ring.
constexpr int64_t kSmall = int64_t{64} << 10;
// What is smaller is not worth a registration; and as much is registered at a time at most.
constexpr int64_t kLeastRegistered = int64_t{1} << 20, kMostRegistered = int64_t{256} << 20;
// So much goes through the ring first: its rate is what registering is measured by.
constexpr int64_t kSample = int64_t{16} << 20;

int64_t nanoseconds_since(Clock::time_point then) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - then).count();
}

bool is_refusal(const device::DeviceFailure& failure) {
  return failure.failure() == device::Failure::kNotSupported ||
         failure.failure() == device::Failure::kOutOfMemory;
}

}  // namespace

Upload::Upload(std::shared_ptr<device::Device> device, const UploadSettings& settings)
    : device_(std::move(device)),
      settings_(settings),
      is_direct_(device_->info().shares_host_memory),
      registers_(settings.registers) {}

void Upload::copy(device::Slice to, const void* from, int64_t bytes) {
  if (!began_) began_ = Clock::now();
  counters_.bytes += bytes;
  if (is_direct_ || bytes < kSmall || !open_ring()) return straight().copy_in(to, from, bytes);
  if (copy_registered(to, from, bytes)) return;
  counters_.ring_bytes += bytes;
  ring_->send(to, from, bytes);
  count_ring();
}

device::Stream& Upload::straight() {
  if (!straight_) straight_.emplace(device_->stream());
  return *straight_;
}

// False where the device has no pinned memory.
bool Upload::open_ring() {
  if (ring_ != nullptr) return true;
  try {
    ring_ = std::make_unique<UploadRing>(device_, settings_);
    ring_reading_ = ring_copying_ = 0;
  } catch (const device::DeviceFailure& failure) {
    if (!is_refusal(failure)) throw;
    is_direct_ = true;
  }
  return ring_ != nullptr;
}

void Upload::count_ring() {
  counters_.reading += ring_->reading_nanoseconds() - ring_reading_;
  counters_.copying += ring_->copying_nanoseconds() - ring_copying_;
  ring_reading_ = ring_->reading_nanoseconds();
  ring_copying_ = ring_->copying_nanoseconds();
}

// Whether pages are made known at a higher rate than they are read to memory that is. Drivers differ in
// this by more than ten times.
bool Upload::registering_pays() const {
  const int64_t read = ring_->read_bytes();
  if (read < kSample) return false;
  if (counters_.registered_bytes == 0) return true;
  const double ring = static_cast<double>(read) / static_cast<double>(ring_->reading_nanoseconds() + 1);
  return static_cast<double>(counters_.registered_bytes) > ring * static_cast<double>(registering_);
}

// False where it has to go through the ring.
bool Upload::copy_registered(device::Slice to, const void* from, int64_t bytes) {
  if (!registers_ || bytes < kLeastRegistered || bytes > kMostRegistered || !registering_pays()) return false;
  const std::optional<arrow::MappedFile::Part> part = arrow::MappedFile::find(from, bytes);
  // Registering would read what is not in memory, one page after the other.
  if (!part || !part->file->is_resident(part->offset, bytes)) return false;
  if (registered_now_ + bytes > kMostRegistered) end_registered();
  std::optional<device::Registration> registration = known(from, bytes);
  if (!registration) return false;
  registered_.push_back({std::move(*registration), device_->event(), device_->event(), bytes});
  registered_now_ += bytes;
  straight().record(registered_.back().begun);
  straight().copy_in(to, from, bytes);
  straight().record(registered_.back().done);
  counters_.registered_bytes += bytes;
  return true;
}

// Nothing where the driver does not want to: it is not asked again.
std::optional<device::Registration> Upload::known(const void* from, int64_t bytes) {
  const Clock::time_point began = Clock::now();
  const arrow::MappedFile::Pages pages = arrow::MappedFile::pages(from, bytes);
  try {
    std::optional<device::Registration> made = device_->register_host(pages.begin, pages.bytes);
    registering_ += nanoseconds_since(began);
    return made;
  } catch (const device::DeviceFailure& failure) {
    if (failure.failure() == device::Failure::kLost) throw;
    registers_ = false;
    return std::nullopt;
  }
}

void Upload::end_registered() {
  straight().synchronise();
  for (Registered& one : registered_) counters_.copying += one.begun.nanoseconds_until(one.done);
  registered_.clear();
  registered_now_ = 0;
}

void Upload::finish() {
  if (ring_ != nullptr) {
    ring_->finish();
    count_ring();
  }
  if (straight_) end_registered();
  if (began_) counters_.nanoseconds += nanoseconds_since(*began_);
  began_.reset();
}

void Upload::stop() noexcept {
  ring_.reset();      // pinned memory is scarce
  straight_.reset();  // streams that go away wait for their work
  registered_.clear();
  registered_now_ = 0;
  began_.reset();
}

}  // namespace arrowmind::runtime
