#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"
#include "device/vulkan/group.glsl"

// A group for each row, as kernels/route/route.h.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint x_stride, out_stride, experts, top;
  uint is_sigmoid;
  uint groups, kept;
  uint sums_two;
  float factor;
  uint flags;
} p;
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) readonly buffer Bias { float bias[]; };
layout(binding = 2) buffer Out { float result[]; };

#define MOST_EXPERTS 1024
shared float scores[MOST_EXPERTS];
shared float choices[MOST_EXPERTS];
shared float group_scores[MOST_EXPERTS];

const float kOut = -3.4e38;    // of no group that is kept, or taken
const float kLeast = -3.0e38;  // of what is no number

// Whether some logit is no number; scores are filled.
bool fill_scores(uint from) {
  const uint lane = gl_LocalInvocationIndex;
  uint damaged = 0u;
  float largest = kLeast;
  for (uint e = lane; e < p.experts; e += THREADS) {
    const float logit = x[from + e];
    if (is_nan(logit)) damaged = 1u;
    else largest = max(largest, logit);
  }
  largest = group_max(largest);
  damaged = group_max(damaged);
  float total = 0.0;
  for (uint e = lane; e < p.experts; e += THREADS) {
    const float logit = x[from + e];
    scores[e] = p.is_sigmoid != 0u ? 1.0 / (1.0 + exp_of(-logit)) : exp_of(logit - largest);
    total += scores[e];
  }
  total = group_sum(total);
  for (uint e = lane; e < p.experts; e += THREADS) {
    if (p.is_sigmoid == 0u) scores[e] /= total;
    const float choice = (p.flags & kHasBias) != 0u ? scores[e] + bias[e] : scores[e];
    choices[e] = is_finite(choice) ? choice : kLeast;
  }
  barrier();
  return damaged != 0u;
}

// Leaves the choices of the best groups.
void keep_groups() {
  const uint size = p.experts / p.groups;
  for (uint g = gl_LocalInvocationIndex; g < p.groups; g += THREADS) {
    float first = kOut, second = kOut;
    for (uint i = 0u; i < size; ++i) {
      const float choice = choices[g * size + i];
      second = max(second, min(first, choice));
      first = max(first, choice);
    }
    group_scores[g] = p.sums_two != 0u ? first + second : first;
  }
  barrier();
  for (uint g = gl_LocalInvocationIndex; g < p.groups; g += THREADS) {
    uint better = 0u;
    for (uint other = 0u; other < p.groups; ++other) {
      if (group_scores[other] > group_scores[g] || (group_scores[other] == group_scores[g] && other < g)) ++better;
    }
    if (better < p.kept) continue;
    for (uint i = 0u; i < size; ++i) choices[g * size + i] = kOut;
  }
  barrier();
}

// The best choice, of equals the lowest.
uint take_best() {
  float best = kOut;
  uint place = 0u;
  for (uint e = gl_LocalInvocationIndex; e < p.experts; e += THREADS) {
    if (choices[e] > best) {
      best = choices[e];
      place = e;
    }
  }
  const float all = group_max(best);
  const uint found = ~group_max(best == all && best > kOut ? ~place : 0u);
  if (gl_LocalInvocationIndex == 0u) choices[found] = kOut;
  barrier();
  return found;
}

void main() {
  const uint row = gl_WorkGroupID.y, out_row = row * p.out_stride;
  const bool damaged = fill_scores(row * p.x_stride);
  if (p.groups > 1u) keep_groups();
  float total = 0.0;
  for (uint rank = 0u; rank < p.top; ++rank) {
    const uint expert = min(take_best(), p.experts - 1u);
    total += scores[expert];
    if (gl_LocalInvocationIndex == 0u) {
      result[out_row + rank] = float(expert);
      result[out_row + p.top + rank] = scores[expert];
    }
  }
  if (gl_LocalInvocationIndex != 0u) return;
  for (uint rank = 0u; rank < p.top; ++rank) {
    float weight = result[out_row + p.top + rank];
    if ((p.flags & kNormalise) != 0u) weight /= total + 1e-20;
    result[out_row + p.top + rank] = damaged ? kNan : weight * p.factor;
  }
}
