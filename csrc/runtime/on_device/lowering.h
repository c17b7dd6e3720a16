#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "device/kernels.h"
#include "device/resources.h"
#include "residency/residency.h"
#include "runtime/plan.h"

namespace arrowmind::runtime {

class ExpertSource;

// What a kernel of a plan is given: a part of a buffer of the plan, weights, or what a micro-batch brings.
struct Place {
  enum class Kind : uint8_t {
    kNothing,  // bound to memory that is not looked at
    kData,     // of buffer `id`; the others of codes
    kScale,
    kSum,
    kZero,
    kConstant,       // number `id`
    kTokenIds,       // i32 [rows]
    kPositions,      // i32 [rows]
    kSequenceOf,     // i32 [rows]
    kOffsets,        // i32 [sequences + 1]
    kPlaces,         // i32 [rows], in the pages of their sequences
    kTable,          // of attention layer `id`: where pages begin
    kPages,          // of attention layer `id`
    kSmallPages,     // likewise; nothing where pages do not become small
    kShrinks,        // likewise: a list of pages that are to become small
    kSigns,          // likewise
    kLooked,         // f32 [][]: what the sequences look at
    kLookedOffsets,  // i32 [sequences + 1]: and from which row on
    kSpare,          // memory beside the buffers of the plan, see Lowering::spare()
    kFrom,           // i32 [rows]: of the rows that an expert is given, where they come from
    kTo,             // i32 [rows]: and where they go
    kOutput,         // f32 [sequences][columns]
  };
  Kind kind = Kind::kNothing;
  int id = -1;
  int64_t row_bytes = 0;  // kData, kSpare: begins so many bytes later for each row of the micro-batch
};

// Rows of some type, and what belongs to them.
struct RowPlaces {
  BufferType type = BufferType::kF32;
  int64_t stride = 0, group = 0;  // as of a buffer
  Place data, scale, sum, zero;
};

// The steps behind this one are those of experts, `each` for every one of them: an expert's are run over the
// rows that the route sends to it, if there are any.
struct Routed {
  int route = -1;  // buffer
  int64_t top = 0, experts = 0, each = 0;
  Place results = {};              // [rows * top, hidden], of experts that the CPU runs, too
  ExpertSource* source = nullptr;  // of experts that the CPU runs and that come and go beneath it; or null
};

// Items of work in three directions; the second is all rows, or all sequences.
struct Work {
  int64_t x = 1;
  bool per_sequence = false;
  int64_t z = 1;
};

// A step over the rows of a forward in the order of their experts, each of them once for each of its `top`.
struct Grouped {
  enum class Over : uint8_t { kNone, kSort, kPairs, kTiles } over = Over::kNone;
  int64_t top = 0, experts = 0;
};

// Bytes that all forwards read; on the device others of as many bytes follow without a gap.
struct Constant {
  const void* data = nullptr;
  int64_t bytes = 0;
  std::vector<const void*> others = {};

  int64_t all_bytes() const { return bytes * static_cast<int64_t>(others.size() + 1); }
  // piece(data, offset) of each.
  template <typename Piece>
  void each(const Piece& piece) const {
    piece(data, int64_t{0});
    for (size_t i = 0; i < others.size(); ++i) piece(others[i], bytes * static_cast<int64_t>(i + 1));
  }
};

// Forwards that a step is part of: all, or those without a cache, or with one.
enum class When : uint8_t { kAlways, kPlain, kCached };

// One launch, or rows that the host fills.
struct Step {
  using Fill = std::function<void(const int32_t* positions, int64_t rows, float* out)>;

  std::string kernel;
  std::vector<Place> places;
  std::vector<std::byte> parameters;  // begins with rows and sequences
  Work work;
  Grouped grouped;
  Fill fill;                // set: f32 [rows][columns] for the buffer of places[0], and no kernel
  bool normalises = false;  // kNormalise joins the flags when results are to be of unit length
  When when = When::kAlways;
  Routed routed;  // with experts: no kernel
  // Not 0: it looks at rows of a forward (Memory) of as many columns at least; `parameters`, those of
  // cross_attention, gain how many they have.
  int64_t looked_columns = 0;
  int64_t layer = -1;  // of a cache: `parameters` gain what the cache says of its pages, by what they are
  enum class Paged : uint8_t { kNot, kWrite, kShrink, kAttend } paged = Paged::kNot;
  // Set: the operator runs on the CPU, over these buffers, which are copied there and back.
  const Op* here = nullptr;
  std::vector<int> reads, writes;
  // Set: constants of the steps behind this one can be read while these blocks are held. No work of a
  // forward.
  std::shared_ptr<residency::Residency> residency;
  std::vector<int32_t> blocks, ahead;
  bool is_border = false;  // a block of the model begins; no work either
};

// What operators say of themselves when a plan is to run on a device.
class Lowering {
 public:
  // `experts_here`: so many of the first layers with experts leave these to the CPU.
  // `caches`: single ones of these may be brought there.
  // `most_place_bytes`: of what a kernel takes at one place.
  explicit Lowering(const Plan& plan, int64_t experts_here = 0, bool caches = false,
                    int64_t most_place_bytes = kMostPlaceBytes)
      : plan_(plan), experts_here_(experts_here), caches_(caches), most_place_bytes_(most_place_bytes) {}

  const Plan& plan() const { return plan_; }
  const std::vector<Step>& steps() const { return steps_; }
  const std::vector<Constant>& constants() const { return constants_; }
  uint32_t stride(int buffer) const { return word(plan_.stride(buffer)); }

  static Place data(int buffer) { return {Place::Kind::kData, buffer}; }
  static Place scale(int buffer) { return {Place::Kind::kScale, buffer}; }
  static Place sum(int buffer) { return {Place::Kind::kSum, buffer}; }
  static Place zero(int buffer) { return {Place::Kind::kZero, buffer}; }
  static Place of(Place::Kind kind) { return {kind, -1}; }
  static Place nothing() { return {}; }
  RowPlaces rows(int buffer) const;
  // Memory of `bytes` for each row, a multiple of 4, from `first` on: of the step alone that is being
  // lowered.
  Place spare(int64_t first, int64_t bytes);
  int64_t spare_bytes() const { return spare_bytes_; }
  // Bytes that live as long as the plan; nothing for null.
  Place constant(const void* data, int64_t bytes);
  Place constant(Constant constant);
  // Kernels count 32 bits of elements.
  static constexpr int64_t kMostPlaceBytes = int64_t{1} << 34;
  int64_t most_place_bytes() const { return most_place_bytes_; }

  // `parameters`, one of those of device/kernels.h, with rows and sequences left open.
  template <typename Parameters>
  Step& launch(const char* kernel, std::vector<Place> places, const Parameters& parameters, Work work) {
    static_assert(std::is_trivially_copyable_v<Parameters> &&
                  sizeof(Parameters) <= device::kMostParameterBytes);
    Step step;
    step.kernel = kernel;
    step.places = std::move(places);
    step.work = work;
    step.parameters.resize(sizeof parameters);
    std::memcpy(step.parameters.data(), &parameters, sizeof parameters);
    steps_.push_back(std::move(step));
    return steps_.back();
  }
  void fill(int buffer, Step::Fill fill);
  // The operator on the CPU.
  void run_here(const Op& op, std::vector<int> reads, std::vector<int> writes);
  // Asked once by each layer with experts, in order.
  bool leaves_experts() { return experts_here_-- > 0; }
  bool caches_experts() const { return caches_; }
  // What is behind reads weights that come and go.
  void need(std::shared_ptr<residency::Residency> residency, std::vector<int32_t> blocks,
            std::vector<int32_t> ahead);
  // A block of the model begins.
  void border();
  // Whether weights that come and go are asked for in time.
  bool can_read(bool streamed) const { return !streamed || needs_; }
  void route(const Routed& routed);
  // Of the experts of the last step, which the CPU runs, the device may run some, by the steps behind it,
  // which leave what they give at `results`.
  void take_over(const Routed& routed) { steps_.back().routed = routed; }
  // The steps behind number `step`, which routes, are those of one expert.
  void count_each(size_t step) { steps_[step].routed.each = static_cast<int64_t>(steps_.size() - step) - 1; }

  // A number of a block of parameters. Throws DeviceFailure where it has more than 32 bits.
  static uint32_t word(int64_t value);

 private:
  const Plan& plan_;
  std::vector<Step> steps_;
  std::vector<Constant> constants_;
  int64_t spare_bytes_ = 0;  // of a row
  int64_t experts_here_;
  bool caches_;
  int64_t most_place_bytes_;
  bool needs_ = false;
};

// The kernel that makes codes of this type.
constexpr const char* quantise_kernel(BufferType type) {
  return type == BufferType::kI8 ? "quantise_i8" : type == BufferType::kI16 ? "quantise_i16" : "quantise_i8b";
}

}  // namespace arrowmind::runtime
