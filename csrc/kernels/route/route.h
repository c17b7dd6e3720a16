#pragma once

#include <cstdint>
#include <span>

#include "kernels/registry.h"

namespace arrowmind::route {

// The logits of a router -> for each row the experts that serve it and what each counts:
//   score[e]  = softmax of the row, or 1 / (1 + e^-x)
//   choice[e] = score[e] + bias[e]                                    bias: 0 where there is none
//   group g   = its largest choice, or the sum of its two largest    `kept` best groups stay; others are out
//   the `top` experts of largest choice, best first; of equals the one with the lower number, as of groups
//   weight    = score of the expert, not its choice
//             / (sum of the weights, best first, + 1e-20)             where they are normalised
//             * factor
// The sum of the softmax runs in 16 lanes, expert e in lane e mod 16: the same bits everywhere. A NaN makes
// NaN of its row's weights; the experts are valid numbers all the same.

enum class Score : uint8_t { kSoftmax, kSigmoid };
enum class GroupScore : uint8_t { kLargest, kTwoLargest };

constexpr int64_t kMaxExperts = 1024;

struct Params {
  const float* x = nullptr;  // [rows, experts]
  int64_t x_stride = 0;      // elements between rows
  int64_t experts = 0;       // 1 to kMaxExperts
  int64_t top = 0;           // 1 to the experts of the groups that are kept
  Score score = Score::kSoftmax;
  const float* bias = nullptr;   // [experts] or null
  int64_t groups = 1, kept = 1;  // groups divide experts; two experts at least in each for kTwoLargest
  GroupScore group_score = GroupScore::kLargest;
  bool normalised = false;
  float factor = 1.0f;
  float* out = nullptr;  // [rows, 2 * top]: numbers of experts, whole, then their weights
  int64_t out_stride = 0;
  int64_t begin = 0, end = 0;  // rows this call computes
};

using Row = KernelOf<Params>;

std::span<const Row> rows();

// The fastest kernel on this machine; each serves every router.
const Row& select();

// Throws Error(kInvalidArgument) unless the numbers go together.
void check(const Params& params);

}  // namespace arrowmind::route
