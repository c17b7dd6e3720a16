#pragma once

#include "kernels/embed/embed.h"
#include "runtime/plan.h"

namespace arrowmind::runtime {

struct EmbedTables {
  embed::Table word;        // at least Limits::vocabulary rows
  embed::Table position;    // at least Limits::max_length rows; no data: nothing is added
  embed::Table token_type;  // row 0 is added to every token; no data: nothing is added
};

// output[t] = word[token] + position[place in its sequence] + token_type[0].
void add_embed(Plan& plan, const EmbedTables& tables, int output);

}  // namespace arrowmind::runtime
