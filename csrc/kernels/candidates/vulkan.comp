#version 450
#extension GL_GOOGLE_include_directive : require
#include "device/vulkan/numbers.glsl"
#include "device/vulkan/group.glsl"

// candidates of device/kernels.h, a group for each row, in the way of gpu.cu.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint width, in_stride, out_stride;
  uint count, sums;
} p;
layout(binding = 0) readonly buffer In { float x[]; };
layout(binding = 1) readonly buffer Temperatures { float temperatures[]; };
layout(binding = 2) buffer Out { uint result[]; };

#define COLUMNS 1024
#define SLOTS 1024
#define EACH (COLUMNS / THREADS)

shared uint keys[SLOTS];
shared uint places[SLOTS];
shared float lanes[COLUMNS];

// Words in the order of floats; 0 and -0 have the same.
uint key_of(float value) {
  uint bits = floatBitsToUint(value);
  if (bits == 0x80000000u) bits = 0u;
  return bits ^ ((bits & 0x80000000u) != 0u ? 0xffffffffu : 0x80000000u);
}

// A bound (key, last place): elements of larger keys are above it, and of this key those up to a place.
bool takes(uvec2 bound, uint key, uint place) {
  return key > bound.x || (key == bound.x && place <= bound.y);
}

uint own_count(uint first, uvec2 bound) {
  uint count = 0u;
  for (uint k = gl_LocalInvocationIndex; k < p.width; k += THREADS) {
    count += takes(bound, key_of(x[first + k]), k) ? 1u : 0u;
  }
  return count;
}

uint sum_of_group(uint count) {
  return uint(group_sum(int(count)));
}

uvec2 narrowed(uint first, uint count) {
  uvec2 bound = uvec2(0u, 0xffffffffu);
  for (uint bit = 0x80000000u; bit != 0u; bit >>= 1) {
    const uvec2 next = uvec2(bound.x | bit, bound.y);
    const uint reached = sum_of_group(own_count(first, next));
    if (reached < count) continue;
    bound = next;
    if (reached <= SLOTS) return bound;
  }
  for (uint bit = 0x80000000u; bit != 0u; bit >>= 1) {
    const uvec2 next = uvec2(bound.x, bound.y & ~bit);
    if (next.y >= p.width) {
      bound = next;
      continue;
    }
    const uint reached = sum_of_group(own_count(first, next));
    if (reached < count) continue;
    bound = next;
    if (reached <= SLOTS) return bound;
  }
  return bound;
}

// How many the threads before this one have.
uint sum_before(uint own) {
  const uint lane = gl_LocalInvocationIndex;
  uint sum = own;
  group_words[lane] = sum;
  barrier();
  for (uint step = 1u; step < THREADS; step *= 2u) {
    if (lane >= step) sum += group_words[lane - step];
    barrier();
    group_words[lane] = sum;
    barrier();
  }
  return sum - own;
}

// Best first, of equals the first; `size` is a power of two.
void sort(uint size) {
  for (uint run = 2u; run <= size; run *= 2u) {
    for (uint step = run / 2u; step > 0u; step /= 2u) {
      barrier();
      for (uint i = gl_LocalInvocationIndex; i < size / 2u; i += THREADS) {
        const uint a = 2u * step * (i / step) + i % step, b = a + step;
        const bool is_behind = keys[b] > keys[a] || (keys[b] == keys[a] && places[b] < places[a]);
        if (is_behind != ((a & run) == 0u)) continue;
        const uint key = keys[a], place = places[a];
        keys[a] = keys[b];
        places[a] = places[b];
        keys[b] = key;
        places[b] = place;
      }
    }
  }
  barrier();
}

float sum_of(uint first, float largest, float temperature) {
  const uint lane = gl_LocalInvocationIndex;
  barrier();
  for (uint own = lane; own < COLUMNS; own += THREADS) {
    precise float sum = 0.0;
    for (uint k = own; k < p.width; k += COLUMNS) sum += exp_of((x[first + k] - largest) / temperature);
    lanes[own] = sum;
  }
  for (uint half_size = COLUMNS / 2u; half_size > 0u; half_size /= 2u) {
    barrier();
    for (uint i = lane; i < half_size; i += THREADS) lanes[i] += lanes[i + half_size];
  }
  barrier();
  return lanes[0];
}

void main() {
  const uint lane = gl_LocalInvocationIndex, first = gl_WorkGroupID.y * p.in_stride;
  uint damaged = 0u;
  for (uint own = lane; own < COLUMNS; own += THREADS) {
    uint most = 0u;
    for (uint k = own; k < p.width; k += COLUMNS) {
      const float value = x[first + k];
      damaged |= is_nan(value) ? 1u : 0u;
      most = max(most, key_of(value));
    }
    keys[own] = most;
  }
  damaged = group_max(damaged);
  const uint count = min(p.count, p.width);
  uvec2 bound = uvec2(0u, 0xffffffffu);
  for (uint bit = 0x80000000u; bit != 0u; bit >>= 1) {
    uint reached = 0u;
    for (uint own = lane; own < COLUMNS; own += THREADS) reached += keys[own] >= (bound.x | bit) ? 1u : 0u;
    if (sum_of_group(reached) >= count) bound.x |= bit;
  }
  uint own = own_count(first, bound);
  uint taken = sum_of_group(own);
  if (taken > SLOTS) {
    bound = narrowed(first, count);
    own = own_count(first, bound);
    taken = sum_of_group(own);
  }
  uint slot = sum_before(own), size = 1u;
  while (size < taken) size *= 2u;
  for (uint k = lane; k < p.width; k += THREADS) {
    const uint key = key_of(x[first + k]);
    if (!takes(bound, key, k)) continue;
    keys[slot] = key;
    places[slot++] = k;
  }
  for (uint i = taken + lane; i < size; i += THREADS) {
    keys[i] = 0u;
    places[i] = 0xffffffffu;
  }
  sort(size);
  const uint to = gl_WorkGroupID.y * p.out_stride;
  for (uint i = lane; i < p.count; i += THREADS) {
    const bool is_there = i < count;
    uint bits = 0xff800000u;
    if (is_there) bits = floatBitsToUint(x[first + places[i]]);
    result[to + i] = is_there ? places[i] : 0xffffffffu;
    result[to + p.count + i] = i == 0u && damaged != 0u ? 0x7fc00000u : bits;
  }
  const float largest = x[first + places[0]];
  for (uint i = 0u; i < p.sums; ++i) {
    const float sum = sum_of(first, largest, temperatures[gl_WorkGroupID.y * p.sums + i]);
    if (lane == 0u) result[to + 2u * p.count + i] = floatBitsToUint(sum);
  }
}
