#include "runtime/on_device/wgmma_trial.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/checked.h"
#include "base/error.h"
#include "base/half.h"
#include "device/kernels.h"
#include "device/resources.h"
#include "kernels/qmatmul/qmatmul.h"

namespace arrowmind::runtime {
namespace {

using qmatmul::Weight;

// Two tiles in either direction, none of them whole; of k three chunks and a part of one. Groups of 32 k.
constexpr uint32_t kRows = 150, kOutputs = 300, kDepth = 200, kGroup = 32;
constexpr uint32_t kAllOutputs = 304, kGroups = 7;
constexpr std::string_view kSuffix = "_wgmma", kPrefix = "linear_bf16_";

struct Kind {
  std::string_view name;
  Weight weight;
};
constexpr Kind kKinds[] = {{"f32", Weight::kF32},    {"f16", Weight::kF16},      {"bf16", Weight::kBf16},
                           {"i8", Weight::kI8},      {"i8g", Weight::kI8Grid},   {"i4g", Weight::kI4Grid},
                           {"i2g", Weight::kI2Grid}, {"fp4g", Weight::kFp4Grid}, {"t2g", Weight::kT2Grid},
                           {"t3g", Weight::kT3Grid}};

// Numbers without end, the same ones each time.
class Numbers {
 public:
  uint32_t below(uint32_t bound) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>((state_ >> 33) % bound);
  }
  float between(int least, int most) {
    return static_cast<float>(least + static_cast<int>(below(static_cast<uint32_t>(most - least + 1))));
  }
  float scale() { return 0.25f * static_cast<float>(1u << below(3)); }

 private:
  uint64_t state_ = 6;
};

template <typename Value>
void put(std::vector<std::byte>& bytes, size_t index, Value value) {
  std::memcpy(bytes.data() + index * sizeof value, &value, sizeof value);
}

std::vector<std::byte> weights_of(Weight weight, Numbers& numbers) {
  const bool on_grid = weight >= Weight::kI8Grid;
  std::vector<std::byte> bytes(
      static_cast<size_t>(qmatmul::packed_bytes(weight, kOutputs, kDepth, on_grid ? kGroup : 0)));
  if (weight > Weight::kBf16) {
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(numbers.below(256));
    return bytes;
  }
  const size_t size = weight == Weight::kF32 ? 4 : 2;
  for (size_t i = 0; i < bytes.size() / size; ++i) {
    const float value = numbers.between(-8, 8) * 0.5f;
    if (weight == Weight::kF32) {
      put(bytes, i, value);
    } else if (weight == Weight::kF16) {
      put(bytes, i, float_to_half(value));
    } else {
      uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof bits);
      put(bytes, i, static_cast<uint16_t>(bits >> 16));
    }
  }
  return bytes;
}

// Whole numbers, but for what rounding takes off.
std::vector<std::byte> rows_of(Numbers& numbers) {
  std::vector<std::byte> bytes(size_t{4} * kRows * kDepth);
  for (size_t i = 0; i < size_t{kRows} * kDepth; ++i)
    put(bytes, i, numbers.between(-8, 8) * (1.0f + 0x1p-12f));
  return bytes;
}

std::vector<std::byte> scales_of(Numbers& numbers) {
  std::vector<std::byte> bytes(size_t{4} * kAllOutputs * kGroups);
  for (size_t i = 0; i < size_t{kAllOutputs} * kGroups; ++i) put(bytes, i, numbers.scale());
  return bytes;
}

std::vector<std::byte> zeros_of(Weight weight, Numbers& numbers) {
  std::vector<std::byte> bytes(size_t{4} * kAllOutputs * kGroups);
  for (size_t i = 0; i < size_t{kAllOutputs}; ++i) {
    if (weight == Weight::kI8) put(bytes, i, numbers.between(-3, 3));
  }
  if (weight == Weight::kI8) return bytes;
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(numbers.below(16));
  return bytes;
}

// The problem on a device, and what either kernel makes of it.
class Trial {
 public:
  Trial(const std::shared_ptr<device::Device>& device, Weight weight)
      : device_(*device), weight_(weight), stream_(device->stream()) {
    Numbers numbers;
    parts_ = {rows_of(numbers), weights_of(weight, numbers), scales_of(numbers), zeros_of(weight, numbers)};
    parts_.emplace_back(size_t{2} * kRows * round_up(kDepth, device::kRoundedChunk));
    parts_.emplace_back(size_t{4} * kRows * kOutputs, std::byte{0xff});
    int64_t bytes = 0;
    for (const std::vector<std::byte>& part : parts_) {
      offsets_.push_back(bytes);
      bytes = round_up(bytes + static_cast<int64_t>(part.size()), int64_t{256});
    }
    memory_.emplace(device_.allocate(bytes));
    for (size_t i = 0; i < parts_.size(); ++i) bring(i);
  }

  void round() {
    device::RoundRowsParameters p = {};
    p.rows = kRows;
    p.sequences = 1;
    p.width = p.in_stride = kDepth;
    const int64_t steps = round_up(kDepth, device::kRoundedChunk) / device::kRoundedStep;
    launch("round_rows", steps, {slice(0), slice(4)}, std::as_bytes(std::span(&p, 1)));
  }

  std::vector<uint32_t> multiply(const std::string& kernel) {
    device::LinearParameters p = {};
    p.rows = kRows;
    p.sequences = 1;
    p.n = p.c_stride = kOutputs;
    p.k = p.a_stride = kDepth;
    if (weight_ >= Weight::kI8) p.flags = device::kHasZeros;
    p.group = kGroup;
    p.groups = kGroups;
    p.scale_type = device::kScaleF32;
    std::vector<device::Slice> slices(12, slice(0));
    slices[1] = slice(4);
    for (size_t i = 1; i < 4; ++i) slices[3 + i] = slice(i);
    slices[11] = slice(5);
    bring(5);
    launch(kernel, kOutputs, slices, std::as_bytes(std::span(&p, 1)));
    std::vector<uint32_t> found(size_t{kRows} * kOutputs);
    stream_.copy_out(found.data(), slice(5), static_cast<int64_t>(found.size() * 4));
    stream_.synchronise();
    return found;
  }

 private:
  device::Slice slice(size_t part) const { return {&*memory_, offsets_[part]}; }
  void bring(size_t part) {
    stream_.copy_in(slice(part), parts_[part].data(), static_cast<int64_t>(parts_[part].size()));
  }
  void launch(const std::string& name, int64_t columns, const std::vector<device::Slice>& slices,
              std::span<const std::byte> parameters) {
    const uint64_t number = device_.kernel(name);
    const device::KernelShape shape = device_.kernel_shape(number, name);
    device::Grid grid;
    grid.groups[0] = static_cast<uint32_t>(ceil_div(columns, int64_t{shape.tile[0]}));
    grid.groups[1] = static_cast<uint32_t>(ceil_div(int64_t{kRows}, int64_t{shape.tile[1]}));
    for (size_t i = 0; i < 3; ++i) grid.threads[i] = shape.threads[i];
    grid.shared_bytes = shape.shared_bytes;
    stream_.launch(number, grid, slices, parameters);
  }

  device::Device& device_;
  const Weight weight_;
  std::vector<std::vector<std::byte>> parts_;  // rows, weights, scales, zero points, rounded rows, results
  std::vector<int64_t> offsets_;
  std::optional<device::Buffer> memory_;
  device::Stream stream_;  // goes away first, and waits
};

Weight weight_of(std::string_view base) {
  for (const Kind& kind : kKinds) {
    if (base == std::string(kPrefix) + std::string(kind.name)) return kind.weight;
  }
  fail(ErrorKind::kInvalidArgument, "'", base, kSuffix,
       "' is no kernel of warpgroups; linear_bf16_i8_wgmma is one");
}

// Both are written on nothing but NaN, and no row of the problem has only one result.
bool is_nothing(const std::vector<uint32_t>& results) {
  const bool is_one = std::ranges::all_of(results, [&](uint32_t bits) { return bits == results.front(); });
  return is_one ||
         std::ranges::any_of(results, [](uint32_t bits) { return (bits & 0x7fffffffu) > 0x7f800000u; });
}

std::string compare(const std::vector<uint32_t>& found, const std::vector<uint32_t>& expected) {
  if (is_nothing(expected)) return "mma.sync gave no results in a trial";
  size_t differ = 0, first = 0;
  for (size_t i = found.size(); i-- > 0;) {
    if (found[i] == expected[i]) continue;
    ++differ;
    first = i;
  }
  if (differ == 0) return "";
  float pair[2];
  std::memcpy(&pair[0], &found[first], 4);
  std::memcpy(&pair[1], &expected[first], 4);
  return cat(differ, " of ", found.size(), " results of a trial are not those of mma.sync, first of row ",
             first / kOutputs, " and output ", first % kOutputs, ": ", pair[0], ", not ", pair[1]);
}

std::string try_now(const std::shared_ptr<device::Device>& device, const std::string& kernel) {
  const std::string base = kernel.substr(0, kernel.size() - std::min(kernel.size(), kSuffix.size()));
  Trial trial(device, weight_of(base));
  trial.round();
  const std::vector<uint32_t> expected = trial.multiply(base + "_wide");
  return compare(trial.multiply(kernel), expected);
}

}  // namespace

std::string try_wgmma(const std::shared_ptr<device::Device>& device, const std::string& kernel) {
  using Key = std::tuple<const ArrowmindBackend*, std::string, std::string>;
  static std::mutex mutex;
  static std::map<Key, std::string> found;
  const std::lock_guard lock(mutex);
  const Key key = {&device->backend(), device->name(), kernel};
  if (const auto known = found.find(key); known != found.end()) return known->second;
  device->kernel(kernel);
  try {
    return found[key] = try_now(device, kernel);
  } catch (const device::DeviceFailure& failure) {
    if (failure.failure() == device::Failure::kOutOfMemory) throw;
    found[key] = cat("the device failed in a trial: ", failure.what());
    if (failure.failure() == device::Failure::kLost) throw;
    return found[key];
  }
}

}  // namespace arrowmind::runtime
