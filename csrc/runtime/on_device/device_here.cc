// Operators of a forward on a device that the CPU runs, such as experts that lie in its memory.

#include "kernels/grid/grid.h"
#include "runtime/experts.h"
#include "runtime/on_device/device_forward.h"

namespace arrowmind::runtime {

// What belongs to the rows of a buffer: copy(address here, place there, bytes).
template <typename Copy>
void DevicePlan::each_part(const Forward& f, int buffer, const Slot& slot, const Copy& copy) const {
  const BufferType type = plan_.type(buffer);
  copy(slot.data, slice(f, Lowering::data(buffer), {}), f.rows * slot.stride * bytes_of(type));
  if (type == BufferType::kF32) return;
  const bool in_blocks = type == BufferType::kI8Block;
  const int64_t group = plan_.group(buffer);
  const int64_t scales = in_blocks ? slot.stride / grid::block_of(group) : 1;
  const int64_t sums = in_blocks ? slot.stride / grid::part_of(group) : 1;
  copy(slot.scale, slice(f, Lowering::scale(buffer), {}), 4 * f.rows * scales);
  copy(slot.sum, slice(f, Lowering::sum(buffer), {}), 4 * f.rows * sums);
  if (type == BufferType::kI8) copy(slot.zero, slice(f, Lowering::zero(buffer), {}), 4 * f.rows);
}

void DevicePlan::run_here(const Forward& f, size_t i) const {
  const Step& step = lowering_.steps()[i];
  AlignedBuffer& memory = f.context.here;
  const int64_t scratch = plan_.scratch_bytes(f.at.rows);
  const int64_t result = plan_.gives_tokens() ? 4 * f.at.rows * plan_.limits().output_columns : 0;
  memory.resize(scratch + result + AlignedBuffer::kAlignment);
  char* base = memory.as<char>();
  std::vector<Slot> slots = plan_.slots(base, f.at.rows);
  // The result is none of the buffers that share the scratch memory.
  if (result > 0) slots[static_cast<size_t>(plan_.result())].data = base + scratch;
  device::Stream& stream = f.context.stream;
  for (const int id : step.reads) {
    each_part(f, id, slots[static_cast<size_t>(id)],
              [&](void* to, const device::Slice& from, int64_t bytes) { stream.copy_out(to, from, bytes); });
  }
  stream.synchronise();
  const int32_t offsets[] = {0, static_cast<int32_t>(f.rows)};
  const Batch batch{nullptr, offsets, 1};
  Execution execution(batch, threads_);
  execution.slots = std::move(slots);
  const std::unique_ptr<ExpertsElsewhere> elsewhere = single_experts(f, i);
  execution.elsewhere = elsewhere.get();
  step.here->run(execution);
  for (const int id : step.writes) {
    each_part(
        f, id, execution.slots[static_cast<size_t>(id)],
        [&](const void* from, const device::Slice& to, int64_t bytes) { stream.copy_in(to, from, bytes); });
  }
}

}  // namespace arrowmind::runtime
