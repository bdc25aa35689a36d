// SPDX-License-Identifier: Apache-2.0
#include "tests/cudacpu/nccl_wire.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/error.h"

namespace funnel::cudacpu {
namespace {

constexpr uint32_t kMagic = 0x66756e6e;

int make_socket() {
  const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) throw WireError(concat("no socket: ", std::strerror(errno)));
  return made;
}

// A name outside the file system, which vanishes with its socket.
std::pair<sockaddr_un, socklen_t> address_of(const std::string& id, int rank) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = concat("funnel-nccl-", id, "-", rank);
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  return {address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())};
}

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

}  // namespace

Wire::Wire(std::string id, int rank, int size, int device)
    : id_(std::move(id)),
      mine_{kMagic, rank, size, device},
      sockets_(static_cast<size_t>(size), -1),
      called_(static_cast<size_t>(size), false) {
  listen();
}

Wire::~Wire() {
  for (const int one : sockets_) {
    if (one >= 0) close(one);
  }
  for (const Guest& guest : guests_) close(guest.socket);
  if (listener_ >= 0) close(listener_);
}

void Wire::listen() {
  listener_ = make_socket();
  const auto [address, length] = address_of(id_, mine_.rank);
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      ::listen(listener_, mine_.size) != 0) {
    throw WireError(concat("rank ", mine_.rank, " is there twice: ", std::strerror(errno)));
  }
}

// Lower ranks are called, higher ones call.
void Wire::call(int peer) {
  const int made = make_socket();
  const auto [address, length] = address_of(id_, peer);
  if (::connect(made, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    close(made);  // not there yet
    return;
  }
  guests_.push_back({made, {}});
  called_[static_cast<size_t>(peer)] = true;
  static_cast<void>(::send(made, &mine_, sizeof(mine_), MSG_NOSIGNAL));
}

void Wire::accept() {
  for (;;) {
    const int made = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (made < 0) return;
    guests_.push_back({made, {}});
    static_cast<void>(::send(made, &mine_, sizeof(mine_), MSG_NOSIGNAL));
  }
}

bool Wire::hear(Guest& guest) {
  char* at = reinterpret_cast<char*>(&guest.greeting) + guest.received;
  const ssize_t got = recv(guest.socket, at, sizeof(Greeting) - guest.received, 0);
  if (got == 0 || (got < 0 && !would_block())) throw WireError("a rank has gone while connecting");
  if (got > 0) guest.received += static_cast<size_t>(got);
  return guest.received == sizeof(Greeting);
}

void Wire::admit(const Guest& guest) {
  const Greeting& theirs = guest.greeting;
  if (theirs.magic != kMagic || theirs.size != mine_.size) {
    throw WireError(concat("rank ", theirs.rank, " says there are ", theirs.size, " ranks, rank ",
                           mine_.rank, " says ", mine_.size));
  }
  if (theirs.device == mine_.device) {
    throw WireError(concat("Duplicate GPU detected: rank ", mine_.rank, " and rank ", theirs.rank,
                           " both on device ", mine_.device));
  }
  sockets_[static_cast<size_t>(theirs.rank)] = guest.socket;
  ++connected_;
}

bool Wire::connect() {
  for (int peer = 0; peer < mine_.rank; ++peer) {
    if (!called_[static_cast<size_t>(peer)]) call(peer);
  }
  accept();
  std::erase_if(guests_, [this](Guest& guest) {
    if (!hear(guest)) return false;
    admit(guest);
    return true;
  });
  return connected_ == mine_.size;
}

size_t Wire::send(int peer, const char* data, size_t bytes) {
  const ssize_t sent = ::send(sockets_[static_cast<size_t>(peer)], data, bytes, MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<size_t>(sent);
  if (would_block()) return 0;
  throw WireError(concat("rank ", peer, " has gone: ", std::strerror(errno)));
}

size_t Wire::receive(int peer, char* data, size_t bytes) {
  const ssize_t got = recv(sockets_[static_cast<size_t>(peer)], data, bytes, 0);
  if (got > 0) return static_cast<size_t>(got);
  if (got < 0 && would_block()) return 0;
  throw WireError(
      concat("rank ", peer, " has gone", got < 0 ? ": " : "", got < 0 ? std::strerror(errno) : ""));
}

}  // namespace funnel::cudacpu
