// SPDX-License-Identifier: Apache-2.0
// What the sources of H5File share: handles that close themselves, sessions, and errors with HDF5's
// own reason. Only they include this.
#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>

#include "core/base/error.h"

namespace funnel::h5 {

// A handle that is closed by the matching function.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  operator hid_t() const { return id_; }
  bool valid() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// Every call into the library happens within one: it must not be entered by two threads at once
// (Debian builds it so that it takes a lock of its own, others do not), and it keeps one error
// stack, and one decision to print it, per thread.
class Session {
 public:
  Session() : lock_(mutex()) {
    thread_local const herr_t silenced = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    (void)silenced;
  }

 private:
  static std::recursive_mutex& mutex() {
    static std::recursive_mutex instance;
    return instance;
  }
  std::lock_guard<std::recursive_mutex> lock_;
};

inline herr_t take_description(unsigned, const H5E_error2_t* error, void* text) {
  if (error->desc != nullptr) *static_cast<std::string*>(text) = error->desc;
  return 0;
}

// What the library's innermost function says about its last failure.
inline std::string cause() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, take_description, &text);
  return text.empty() ? std::string("no reason given") : text;
}

// Damaged or foreign content is an input error; `what` is "dataset 'x'" or the like.
inline void check_read(bool done, const std::string& file, const std::string& what) {
  if (!done) throw_usage(file, ": cannot read ", what, " (HDF5: ", cause(), ")");
}

inline void check_written(bool done, const std::string& file, const std::string& what) {
  if (!done) throw Error(concat(file, ": cannot write ", what, " (HDF5: ", cause(), ")"));
}

inline std::string quoted(const char* kind, const std::string& name) {
  return concat(kind, " '", name, "'");
}

}  // namespace funnel::h5
