#include "runtime/ops/row_form.h"

#include <cstring>

#include "base/checked.h"

namespace arrowmind::runtime {
namespace {

template <typename T>
void copy_values(const T* source, int64_t from, T* target, int64_t to, int64_t count) {
  if (source == nullptr) return;
  std::memcpy(target + to * count, source + from * count, static_cast<size_t>(count) * sizeof(T));
}

char* row_of(const Slot& slot, BufferType type, int64_t row) {
  return static_cast<char*>(slot.data) + row * slot.stride * bytes_of(type);
}

quantise::Code code_of(BufferType type) {
  return type == BufferType::kI8    ? quantise::Code::kI8
         : type == BufferType::kI16 ? quantise::Code::kI16
                                    : quantise::Code::kI8Block;
}

}  // namespace

RowForm::RowForm(BufferType form, int64_t columns, int64_t block_group)
    : type(form),
      width(columns),
      group(block_group),
      stride(columns),
      scales(0),
      sums(0),
      coder(form == BufferType::kF32 ? nullptr : &quantise::select(code_of(form))) {
  int64_t values = 0;  // behind the codes of a row
  if (type == BufferType::kI8Block) {
    stride = round_up(width, grid::block_of(group));
    scales = stride / grid::block_of(group);
    sums = stride / grid::part_of(group);
    values = scales + sums;
  } else if (type != BufferType::kF32) {
    stride = round_up(width, qmatmul::kQuad);
    scales = sums = 1;
    values = 3;
  }
  words = ceil_div(stride * bytes_of(type), 4) + values;
}

Slot RowForm::over(float* memory, int64_t rows) const {
  Slot slot{.data = memory, .stride = stride};
  if (type == BufferType::kF32) return slot;
  float* after = memory + rows * ceil_div(stride * bytes_of(type), 4);
  slot.scale = after;
  after += rows * scales;
  slot.sum = reinterpret_cast<int32_t*>(after);
  after += rows * sums;
  if (type == BufferType::kI8) slot.zero = reinterpret_cast<int32_t*>(after);
  return slot;
}

void RowForm::copy(const Slot& source, int64_t from, const Slot& target, int64_t to) const {
  std::memcpy(row_of(target, type, to), row_of(source, type, from),
              static_cast<size_t>(stride * bytes_of(type)));
  copy_values(source.scale, from, target.scale, to, scales);
  copy_values(source.sum, from, target.sum, to, sums);
  copy_values(source.zero, from, target.zero, to, 1);
}

void RowForm::bind(const Slot& slot, int64_t row, qmatmul::Params& p) const {
  const auto at = [row](auto* values, int64_t count) {
    return values == nullptr ? nullptr : values + row * count;
  };
  p.a = row_of(slot, type, row);
  p.a_stride = slot.stride;
  p.a_scale = at(slot.scale, scales);
  p.a_zero = at(slot.zero, 1);
  p.a_sum = at(slot.sum, sums);
}

void RowForm::quantise(const float* x, int64_t x_stride, const Slot& slot, int64_t begin, int64_t end) const {
  quantise::Params p;
  p.x = x;
  p.x_stride = x_stride;
  p.width = width;
  p.begin = begin;
  p.end = end;
  p.out = {.codes = slot.data,
           .stride = slot.stride,
           .scale = slot.scale,
           .sum = slot.sum,
           .zero = slot.zero,
           .block = grid::block_of(group),
           .part = grid::part_of(group),
           .limit = qmatmul::activation_limit(width)};
  coder->run(p);
}

}  // namespace arrowmind::runtime
