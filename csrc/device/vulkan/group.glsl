// Reductions over the threads of a group, all of which call them. THREADS is a power of two.

shared float group_floats[THREADS];
shared uint group_words[THREADS];

float group_sum(float x) {
  const uint lane = gl_LocalInvocationIndex;
  group_floats[lane] = x;
  barrier();
  for (uint half_size = THREADS / 2u; half_size > 0u; half_size /= 2u) {
    if (lane < half_size) group_floats[lane] += group_floats[lane + half_size];
    barrier();
  }
  const float total = group_floats[0];
  barrier();
  return total;
}

// Not of NaN.
float group_max(float x) {
  const uint lane = gl_LocalInvocationIndex;
  group_floats[lane] = x;
  barrier();
  for (uint half_size = THREADS / 2u; half_size > 0u; half_size /= 2u) {
    if (lane < half_size) group_floats[lane] = max(group_floats[lane], group_floats[lane + half_size]);
    barrier();
  }
  const float largest = group_floats[0];
  barrier();
  return largest;
}

uint group_max(uint x) {
  const uint lane = gl_LocalInvocationIndex;
  group_words[lane] = x;
  barrier();
  for (uint half_size = THREADS / 2u; half_size > 0u; half_size /= 2u) {
    if (lane < half_size) group_words[lane] = max(group_words[lane], group_words[lane + half_size]);
    barrier();
  }
  const uint largest = group_words[0];
  barrier();
  return largest;
}

int group_sum(int x) {
  const uint lane = gl_LocalInvocationIndex;
  group_words[lane] = uint(x);
  barrier();
  for (uint half_size = THREADS / 2u; half_size > 0u; half_size /= 2u) {
    if (lane < half_size) group_words[lane] += group_words[lane + half_size];
    barrier();
  }
  const int total = int(group_words[0]);
  barrier();
  return total;
}
