#version 450
#extension GL_GOOGLE_include_directive : require

// group_rows of device/kernels.h. A group for each expert: each of its threads counts, of the next pairs, those of this expert and
// of the ones before it; behind those of the threads before it, it writes down its own.
layout(local_size_x = THREADS) in;
layout(push_constant) uniform Parameters {
  uint rows, sequences;
  uint route_stride, top, experts, tile;
} p;
layout(binding = 0) readonly buffer Route { float route[]; };
layout(binding = 1) buffer From { uint from[]; };
layout(binding = 2) buffer To { uint to[]; };
layout(binding = 3) buffer Tiles { uint tiles[]; };

shared uint counts[THREADS], before[THREADS];

uint expert_of(uint pair) {
  const float number = route[pair / p.top * p.route_stride + pair % p.top];
  const float within = number > 0.0 ? number : 0.0;
  return within < float(p.experts) ? uint(within) : p.experts - 1u;
}

// Tiles before group number `groups`, where that begins at place `pairs`.
uint most_tiles(uint pairs, uint groups) {
  return min(pairs, pairs / p.tile + groups);
}

void main() {
  const uint lane = gl_LocalInvocationIndex, expert = gl_WorkGroupID.x;
  const uint pairs = p.rows * p.top, share = (pairs + THREADS - 1u) / THREADS;
  const uint begin = min(lane * share, pairs), end = min(begin + share, pairs);
  uint own = 0u, smaller = 0u;
  for (uint pair = begin; pair < end; ++pair) {
    const uint number = expert_of(pair);
    own += number == expert ? 1u : 0u;
    smaller += number < expert ? 1u : 0u;
  }
  counts[lane] = own;
  before[lane] = smaller;
  barrier();
  uint start = 0u, count = 0u, place = 0u;
  for (uint i = 0u; i < THREADS; ++i) {
    start += before[i];
    if (i < lane) place += counts[i];
    count += counts[i];
  }
  place += start;
  for (uint pair = begin; pair < end; ++pair) {
    if (expert_of(pair) != expert) continue;
    from[place] = pair / p.top;
    to[pair] = place;
    ++place;
  }
  const uint first_tile = most_tiles(start, expert), end_tile = most_tiles(start + count, expert + 1u);
  for (uint i = first_tile + lane; i < end_tile; i += THREADS) {
    const uint first = min((i - first_tile) * p.tile, count);
    tiles[3u * i] = expert;
    tiles[3u * i + 1u] = start + first;
    tiles[3u * i + 2u] = min(p.tile, count - first);
  }
}
