// SPDX-License-Identifier: Apache-2.0
// Arena hands out pieces of buffers until it is reset or rewound. It may add chunks while a first
// step runs; reset then replaces several chunks by one of the high-water size, so that later steps
// allocate nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "core/backend/buffer.h"

namespace funnel {

class Arena {
 public:
  // purpose: what its memory is for, in the message when there is no more; must outlive it.
  explicit Arena(Device device, const char* purpose = "an arena")
      : device_(device), purpose_(purpose) {}

  Device device() const { return device_; }

  // An uninitialised tensor, valid until the arena is reset or rewound past it.
  Tensor tensor(Shape shape, DType dtype);

  // Gives everything back.
  void reset();

  struct Mark {
    size_t chunk = 0;
    int64_t used = 0;
  };
  Mark mark() const { return {current_, used_}; }
  void rewind(Mark mark);

  int64_t high_water_bytes() const { return high_water_; }

 private:
  char* allocate(int64_t bytes);

  Device device_;
  const char* purpose_;
  std::vector<Buffer> chunks_;
  size_t current_ = 0;   // the chunk that pieces come from
  int64_t used_ = 0;     // bytes handed out of it
  int64_t earlier_ = 0;  // bytes of all chunks before it
  int64_t high_water_ = 0;
};

// A scope's worth of an arena: what was taken through it is given back when it leaves scope.
class Scratch {
 public:
  explicit Scratch(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~Scratch() { arena_.rewind(mark_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  Tensor tensor(Shape shape, DType dtype) { return arena_.tensor(shape, dtype); }

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

}  // namespace funnel
