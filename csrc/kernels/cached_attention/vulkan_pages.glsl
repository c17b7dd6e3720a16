// What the shaders over pages have in common (kernels/cached_attention/cached_attention.h): where things lie, and the rotation that
// codes of 8 bits are behind.

#define MOST_DIM 1024

const uint kPageF32 = 0;
const uint kPageF16 = 1;
const uint kPageI8 = 2;

uint padded_width() {
  return (p.head_dim + 15u) / 16u * 16u;
}

// Bytes of an element.
uint element_bytes() {
  return p.format == kPageF32 ? 4u : p.format == kPageF16 ? 2u : 1u;
}

// The first word of a head's part of the page with token `place`.
uint part_of(uint sequence, uint place, uint key_head) {
  return table[sequence * p.table_stride + place / p.page_tokens] + (p.first_byte + key_head * p.head_bytes) / 4u;
}

// Elements from the beginning of the keys, or of the values.
uint key_at(uint slot, uint d) {
  return slot / 16u * padded_width() * 16u + d * 16u + slot % 16u;
}
uint value_at(uint slot, uint d) {
  return d / 16u * p.page_tokens * 16u + slot * 16u + d % 16u;
}

shared float turned[MOST_DIM];

// `turned`, each times its sign, times Hadamard's matrix in blocks; and back. Called by all threads.
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
