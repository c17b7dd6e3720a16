// The rotation that codes are behind.

shared float turned[MOST_DIM];

// `turned` times Hadamard's matrix in blocks. Called by all threads.
void hadamard() {
  const uint block = p.head_dim & (~p.head_dim + 1u);
  for (uint half_size = 1u; half_size < block; half_size *= 2u) {
    for (uint pair = gl_LocalInvocationIndex; pair < p.head_dim / 2u; pair += THREADS) {
      const uint i = pair / half_size * 2u * half_size + pair % half_size;
      const float a = turned[i], b = turned[i + half_size];
      turned[i] = a + b;
      turned[i + half_size] = a - b;
    }
    barrier();
  }
}

// A row of queries, keys or values as it is compared and stored.
void read_row(uint from) {
  barrier();
  for (uint d = gl_LocalInvocationIndex; d < p.head_dim; d += THREADS) {
    turned[d] = p.turned != 0u ? qkv[from + d] * signs[d] : qkv[from + d];
  }
  barrier();
  if (p.turned != 0u) hadamard();
}
