#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "runtime/ops/linear.h"

namespace arrowmind::runtime {

// A matrix of an expert.
struct ExpertMatrix {
  LinearWeights weights;
  qmatmul::Bound bound = qmatmul::Bound::kNone;  // of its codes
};

// The one way by which an operator reaches what an expert is made of.
struct ExpertWeights {
  ExpertMatrix gate, up;  // [inner, hidden]
  ExpertMatrix down;      // [hidden, inner]
};

// Where the experts of one routed layer come from. Shapes and types of all of them are known from the start;
// their numbers are there between acquire() and release(). Whoever keeps experts elsewhere than in mapped
// memory implements this: reads what is missing, counts uses, and never moves or drops what is acquired.
//
// Both are called from several threads at once, by forwards that know nothing of each other.
class ExpertSource {
 public:
  virtual ~ExpertSource() = default;

  virtual int64_t experts() const = 0;
  // Whether all of them are always there, where their descriptions say.
  virtual bool stays() const { return false; }
  // Type, shape and bytes of an expert's matrices; its pointers need not be valid.
  virtual const ExpertWeights& description(int64_t expert) const = 0;

  // Makes experts available, in the order of `ids`, which are distinct and ascending: waits for the first of
  // them, and gives as many as can be there at once, 1 at least. table[i] is expert ids[i], valid until it is
  // released. A caller that got fewer than it asked for uses and releases them, and asks for the others: what
  // `ids` holds beyond those given is what it will ask for next. Throws when one cannot be had; none is held
  // then.
  virtual size_t acquire(std::span<const int32_t> ids, const ExpertWeights** table) = 0;
  virtual void release(std::span<const int32_t> ids) noexcept = 0;
  // Guesses which experts of the next feed-forward that has such will be asked for, the surest first: its
  // numbers, not this one's.
  virtual void expect_next(std::span<const int32_t> /*ids*/) {}

  // For copies elsewhere, where experts do not stay. lend() holds an expert if it is there and nobody lacks
  // its room; never waits. find(): where what its description points to lies while it is lent. is_short():
  // somebody lacks room.
  virtual bool lend(int32_t /*expert*/) { return false; }
  virtual void take_back(int32_t /*expert*/) noexcept {}
  virtual const void* find(int32_t /*expert*/, const void* described) const { return described; }
  virtual bool is_short() const { return false; }
  // Experts that a route asks for are computed from their copies: they are asked for without being acquired.
  // `whole`: so are all of this route.
  virtual void pass_over(std::span<const int32_t> /*ids*/, bool /*whole*/) {}
};

// An expert that is lent, until this goes; or none.
class Loan {
 public:
  Loan() = default;
  // Nothing where the source does not lend it.
  Loan(ExpertSource& source, int32_t expert)
      : source_(source.lend(expert) ? &source : nullptr), expert_(expert) {}
  ~Loan() { end(); }
  Loan(Loan&& other) noexcept : source_(std::exchange(other.source_, nullptr)), expert_(other.expert_) {}
  Loan& operator=(Loan&& other) noexcept {
    end();
    source_ = std::exchange(other.source_, nullptr);
    expert_ = other.expert_;
    return *this;
  }

  bool is_given() const { return source_ != nullptr; }
  void end() {
    if (source_ != nullptr) std::exchange(source_, nullptr)->take_back(expert_);
  }

 private:
  ExpertSource* source_ = nullptr;
  int32_t expert_ = 0;
};

// The rows of a forward in the order of their experts. A row is one token at one of its `top` experts.
struct SortedRows {
  int64_t top = 0;
  const int32_t* starts = nullptr;  // [experts + 1] place of each expert's first row
  const int32_t* order = nullptr;   // [rows] place -> token * top + rank
};

// Experts that something else computes beside the CPU.
class ExpertsElsewhere {
 public:
  virtual ~ExpertsElsewhere() = default;
  // Begins with those of `active`, ascending, that it has, and moves the others to the front; their number.
  virtual size_t begin(const SortedRows& rows, std::span<int32_t> active) = 0;
  // Of those that it left to the CPU, `ids` are in memory from here until their rows are computed.
  virtual void acquired(std::span<const int32_t> /*ids*/) {}
  // What those that it took make of their rows, [rows, hidden] by place.
  virtual void finish(float* results) = 0;
};

// Experts in memory that is always there: mapped files, arrays.
class MappedExperts final : public ExpertSource {
 public:
  explicit MappedExperts(std::vector<ExpertWeights> experts) : experts_(std::move(experts)) {}

  int64_t experts() const override { return static_cast<int64_t>(experts_.size()); }
  bool stays() const override { return true; }
  const ExpertWeights& description(int64_t expert) const override {
    return experts_.at(static_cast<size_t>(expert));
  }
  size_t acquire(std::span<const int32_t> ids, const ExpertWeights** table) override {
    for (size_t i = 0; i < ids.size(); ++i) table[i] = &experts_[static_cast<size_t>(ids[i])];
    return ids.size();
  }
  void release(std::span<const int32_t> /*ids*/) noexcept override {}

 private:
  std::vector<ExpertWeights> experts_;
};

}  // namespace arrowmind::runtime
