// SPDX-License-Identifier: Apache-2.0
// Failing together: when one rank throws in the middle of collective work, the others would wait
// for it for ever. together() lets all ranks throw the same error at the same place.
#pragma once

#include <exception>
#include <optional>
#include <string>

#include "core/base/error.h"
#include "parallel/comm.h"

namespace funnel {

// An error that every rank of the group throws at the same place: all can end in order, and one of
// them tells.
class SharedError : public Error {
 public:
  using Error::Error;
};

// Collective. If any rank gives an error, every rank throws that of the lowest such rank, with its
// exit code, as a SharedError. Unless all ranks say the same, the message begins with "rank N: ".
void throw_together(Comm& comm, const std::optional<Error>& mine);

// Collective. Runs work() on this rank, then throw_together. work() must not communicate.
template <class Work>
void together(Comm& comm, Work&& work) {
  std::optional<Error> error;
  try {
    work();
  } catch (const Error& thrown) {
    error = thrown;
  } catch (const std::exception& thrown) {
    error = Error(thrown.what());
  }
  throw_together(comm, error);
}

// Collective. Overwrites `text` (any bytes) on every rank with the root's.
void broadcast_text(Comm& comm, std::string& text, int root);

}  // namespace funnel
