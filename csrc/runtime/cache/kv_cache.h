#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "kernels/cached_attention/cached_attention.h"
#include "runtime/cache/page_pool.h"

namespace arrowmind::runtime {

// A layer of attention. Layers of one group share lists of pages: a page holds its tokens in all of them.
struct CacheLayer {
  int64_t group = 0;
  int64_t key_heads = 0, head_dim = 0;
};

struct CacheOptions {
  cached_attention::Format format = cached_attention::Format::kF16;
  int64_t page_tokens = 64;  // a multiple of 16
  int64_t max_tokens = 0;    // that all pages together hold
};

// Tokens that a sequence gains.
struct Growth {
  int64_t sequence, tokens;
};

// Keys and values of many sequences in pages. A sequence has a list of pages per group of layers; sequences
// that begin alike share pages, and a page that is shared is copied before it is written.
//
// A forward holds the lock that guard() gives, and calls what is said to need it; all else takes it itself.
class KvCache {
 public:
  struct PageList {
    std::vector<Page*> pages;
    std::vector<char*> data;  // of the pages, as kernels want them
  };
  struct Sequence {
    int64_t length = 0;  // tokens
    std::vector<PageList> groups;
  };

  // Throws Error(kInvalidArgument) for sizes out of range.
  KvCache(const std::vector<CacheLayer>& layers, CacheOptions options);

  // Each throws Error(kInvalidArgument) for a sequence that is not open, and fork() and forget() for more
  // tokens than it has.
  int64_t start();  // a new one without tokens
  int64_t fork(int64_t sequence, int64_t tokens);
  void forget(int64_t sequence, int64_t tokens);  // its last; and what was reserved for it
  void close(int64_t sequence);
  int64_t length(int64_t sequence) const;
  // Pages for what will come, so that it cannot run out midway: for all or none. Throws Error(kCacheFull).
  void reserve(const std::vector<Growth>& growth);
  // Gives the memory of free pages back to the system.
  void trim();

  int64_t free_tokens() const;  // that fit into pages nobody owns
  int64_t used_bytes() const;   // of pages with owners
  int64_t held_bytes() const;   // those of free pages too
  int64_t bound_bytes() const { return pool_.bound(); }
  int64_t page_tokens() const { return options_.page_tokens; }

  std::unique_lock<std::mutex> guard() { return std::unique_lock<std::mutex>(mutex_); }

  // With the lock: reserve(); the sequences; the tokens are written.
  void prepare(const std::vector<Growth>& growth);
  const Sequence& sequence(int64_t id) const;
  void commit(const std::vector<Growth>& growth);

  // Where a head of keys of a layer lies in a sequence's pages.
  cached_attention::Head head(const Sequence& sequence, int64_t layer, int64_t head) const;
  // Throws Error(kInvalidArgument) unless the layer has this form.
  void check_layer(int64_t layer, int64_t key_heads, int64_t head_dim) const;

 private:
  struct Place {
    CacheLayer layer;
    cached_attention::Layout layout;
    int64_t offset;  // in a page
  };

  void lay_out(const std::vector<CacheLayer>& layers);
  PagePool make_pool() const;
  Sequence& find(int64_t id);
  int64_t pages_of(int64_t tokens) const;
  bool must_copy(const Sequence& sequence, size_t group) const;
  int64_t bytes_needed(const Growth& growth) const;
  void grow(Sequence& sequence, int64_t tokens);
  void own_last(PageList& list);
  void cut(Sequence& sequence);

  CacheOptions options_;
  std::vector<Place> places_;         // by layer
  std::vector<int64_t> group_bytes_;  // of a page
  PagePool pool_;
  std::map<int64_t, Sequence> sequences_;
  int64_t next_ = 0;
  mutable std::mutex mutex_;
};

// What a forward over a cache needs: the sequences of its batch, in order.
struct CacheRun {
  const KvCache* cache;
  std::vector<const KvCache::Sequence*> sequences;
};

}  // namespace arrowmind::runtime
