#pragma once

// Products of small matrices by a warp: d += a x b. Lane 4 g + t holds
//   a [16 rows]   words 0 and 2: row g, words 1 and 3: row g + 8
//   b [8 columns] column g
//   d             rows g (elements 0 and 1) and g + 8 (2 and 3), columns 2 t and 2 t + 1
// and of the inner direction, in words 0 and 1 of a with 0 of b, and in words 2 and 3 with 1, its t-th part
// of four: two bfloat16 (16 in all) or four int8 (32 in all). Which numbers of the inner direction these are
// is the caller's to choose, the same for a and b.
//
// CUDA has instructions for both; elsewhere lanes give each other what they hold, and the sums run in order.

namespace arrowmind::device::gpu {

#if defined(ARROWMIND_ON_HOST)

// In words.h of the tests: one exchange for the whole product.

#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800

ARROWMIND_DEVICE void multiply_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

ARROWMIND_DEVICE void multiply_i8(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#else

struct Bf16Products {
  ARROWMIND_DEVICE float operator()(uint32_t a, uint32_t b, float sum) const {
    sum = fused(float_of(a << 16), float_of(b << 16), sum);
    return fused(float_of(a & 0xffff0000u), float_of(b & 0xffff0000u), sum);
  }
};
struct I8Products {
  ARROWMIND_DEVICE int32_t operator()(uint32_t a, uint32_t b, int32_t sum) const { return dot4(a, b, sum); }
};

template <class Products, class T>
ARROWMIND_DEVICE void multiply(T (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Products products) {
  const int own = static_cast<int>(thread() & 31), row = own & ~3, column = 8 * (own & 3);
  ARROWMIND_UNROLL
  for (int half = 0; half < 2; ++half) {
    for (int part = 0; part < 4; ++part) {
      const uint32_t upper = shuffle(a[2 * half], row + part), lower = shuffle(a[2 * half + 1], row + part);
      const uint32_t left = shuffle(b[half], column + part), right = shuffle(b[half], column + 4 + part);
      d[0] = products(upper, left, d[0]);
      d[1] = products(upper, right, d[1]);
      d[2] = products(lower, left, d[2]);
      d[3] = products(lower, right, d[3]);
    }
  }
}

#if defined(__CUDA_ARCH__)
// A call: in line, sixty products of a kernel with 32 shuffles each took the compiler two minutes.
__device__ __noinline__ float4 added_products(float4 d, uint4 a, uint2 b) {
  float sums[4] = {d.x, d.y, d.z, d.w};
  const uint32_t rows[4] = {a.x, a.y, a.z, a.w}, columns[2] = {b.x, b.y};
  multiply(sums, rows, columns, Bf16Products());
  return {sums[0], sums[1], sums[2], sums[3]};
}
ARROWMIND_DEVICE void multiply_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  const float4 sums = added_products({d[0], d[1], d[2], d[3]}, {a[0], a[1], a[2], a[3]}, {b[0], b[1]});
  d[0] = sums.x;
  d[1] = sums.y;
  d[2] = sums.z;
  d[3] = sums.w;
}
#else
ARROWMIND_DEVICE void multiply_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  multiply(d, a, b, Bf16Products());
}
#endif

#if defined(__CUDA_ARCH__)
// The instruction of sm_75 has half as many rows and half the inner direction.
ARROWMIND_DEVICE void multiply_i8(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  ARROWMIND_UNROLL
  for (int i = 0; i < 4; ++i) {
    asm("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0,%1}, {%2}, {%3}, {%0,%1};"
        : "+r"(d[2 * (i & 1)]), "+r"(d[2 * (i & 1) + 1])
        : "r"(a[i]), "r"(b[i / 2]));
  }
}
#else
ARROWMIND_DEVICE void multiply_i8(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  multiply(d, a, b, I8Products());
}
#endif

#endif

}  // namespace arrowmind::device::gpu
