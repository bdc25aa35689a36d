// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/nccl_exchange.h"

#include <set>
#include <utility>

#include "core/base/error.h"

namespace funnel::cudacpu {

Exchange::Exchange(std::vector<Message> sends, std::vector<Message> receives)
    : sends_(std::move(sends)),
      receives_(std::move(receives)),
      sent_(sends_.size(), 0),
      got_(receives_.size(), 0),
      headers_(receives_.size()) {}

bool Exchange::poll_send(Wire& wire, size_t index) {
  const Message& message = sends_[index];
  size_t& sent = sent_[index];
  const Header header{static_cast<int64_t>(message.data.size()), message.kind, 0};
  while (sent < sizeof(Header) + message.data.size()) {
    const bool in_header = sent < sizeof(Header);
    const char* from = in_header ? reinterpret_cast<const char*>(&header) + sent
                                 : message.data.data() + (sent - sizeof(Header));
    const size_t left =
        in_header ? sizeof(Header) - sent : sizeof(Header) + message.data.size() - sent;
    const size_t moved = wire.send(message.peer, from, left);
    if (moved == 0) return false;
    sent += moved;
  }
  return true;
}

bool Exchange::poll_receive(Wire& wire, size_t index) {
  Message& message = receives_[index];
  Header& header = headers_[index];
  size_t& got = got_[index];
  while (got < sizeof(Header) + message.data.size()) {
    const bool in_header = got < sizeof(Header);
    char* to = in_header ? reinterpret_cast<char*>(&header) + got
                         : message.data.data() + (got - sizeof(Header));
    const size_t left =
        in_header ? sizeof(Header) - got : sizeof(Header) + message.data.size() - got;
    const size_t moved = wire.receive(message.peer, to, left);
    if (moved == 0) return false;
    got += moved;
    if (got != sizeof(Header)) continue;
    if (header.kind == message.kind && header.bytes == static_cast<int64_t>(message.data.size())) {
      continue;
    }
    throw WireError(concat("ranks disagree: expected a message of kind ", message.kind, " with ",
                           message.data.size(), " bytes from rank ", message.peer, ", found kind ",
                           header.kind, " with ", header.bytes));
  }
  return true;
}

bool Exchange::poll(Wire& wire) {
  bool all = true;
  const auto poll_in_order = [&](const std::vector<Message>& messages, auto&& poll_one) {
    std::set<int> busy;  // peers whose earlier message is still under way
    for (size_t i = 0; i < messages.size(); ++i) {
      if (busy.contains(messages[i].peer)) continue;
      if (poll_one(wire, i)) continue;
      busy.insert(messages[i].peer);
      all = false;
    }
  };
  poll_in_order(sends_, [this](Wire& w, size_t i) { return poll_send(w, i); });
  poll_in_order(receives_, [this](Wire& w, size_t i) { return poll_receive(w, i); });
  return all;
}

}  // namespace funnel::cudacpu
