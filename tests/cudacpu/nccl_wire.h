// SPDX-License-Identifier: Apache-2.0
// How ranks of the NCCL stand-in reach each other, processes or threads of one machine: a socket
// between each two, named after the unique id. Nothing blocks, nothing is left behind, and a
// rank that dies shows as the end of its sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace funnel::cudacpu {

// Why ranks cannot go on: one has gone, or they do not agree.
class WireError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Wire {
 public:
  // `id` names the group; `device` is this rank's, which no other rank may use.
  Wire(std::string id, int rank, int size, int device);
  ~Wire();
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  // Goes on connecting; true when all ranks are connected. Throws WireError for ranks that do not
  // fit together.
  bool connect();

  // Send or receive what can be at once, at most `bytes`; return how much. Throw WireError when the
  // peer has gone.
  size_t send(int peer, const char* data, size_t bytes);
  size_t receive(int peer, char* data, size_t bytes);

 private:
  struct Greeting {
    uint32_t magic = 0;
    int32_t rank = -1, size = 0, device = -1;
  };
  // A socket whose other end has not said yet who it is.
  struct Guest {
    int socket;
    Greeting greeting;
    size_t received = 0;
  };

  void listen();
  void call(int peer);
  void accept();
  bool hear(Guest& guest);  // whether it has said all
  void admit(const Guest& guest);

  std::string id_;
  Greeting mine_;
  int listener_ = -1;
  std::vector<int> sockets_;  // by rank; -1: not connected
  std::vector<bool> called_;  // ranks below this one that a guest socket is waiting for
  std::vector<Guest> guests_;
  int connected_ = 1;
};

}  // namespace funnel::cudacpu
