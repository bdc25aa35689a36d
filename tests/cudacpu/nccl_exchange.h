// SPDX-License-Identifier: Apache-2.0
// One step of communication of the NCCL stand-in: messages to and from other ranks, moved bit by
// bit whenever it is asked. Each message says what it is, so that ranks that call different
// collectives, or with different sizes, are found out; real NCCL would hang or mix them up.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/cudacpu/nccl_wire.h"

namespace funnel::cudacpu {

struct Message {
  int peer = 0;
  int32_t kind = 0;        // of the call
  std::vector<char> data;  // to send, or of the size to receive
};

class Exchange {
 public:
  // Messages of one peer travel in the order given.
  Exchange(std::vector<Message> sends, std::vector<Message> receives);

  // Moves what can be moved; true when all is done. Throws WireError.
  bool poll(Wire& wire);

  // After that: what was received, in the order asked for.
  std::vector<Message>& received() { return receives_; }

 private:
  struct Header {
    int64_t bytes = 0;
    int32_t kind = 0;
    int32_t sender = 0;
  };
  bool poll_send(Wire& wire, size_t index);
  bool poll_receive(Wire& wire, size_t index);

  std::vector<Message> sends_, receives_;
  std::vector<size_t> sent_, got_;  // bytes, headers included
  std::vector<Header> headers_;     // of what is received
};

}  // namespace funnel::cudacpu
