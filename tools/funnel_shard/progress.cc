// SPDX-License-Identifier: Apache-2.0
#include "tools/funnel_shard/progress.h"

#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <thread>

namespace funnel::shard_tool {
namespace {

constexpr std::chrono::milliseconds kPostEvery{250};
constexpr std::chrono::seconds kLineEvery{10};

MpiTally::Numbers to_numbers(const WorkDone& done) {
  return {done.stored_bytes, done.text_bytes, done.tokens, done.units, done.cpu_milliseconds};
}

WorkDone to_work(const MpiTally::Numbers& numbers) {
  return {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]};
}

// "1:02:03" or "2:03".
std::string clock_time(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  std::ostringstream out;
  if (whole >= 3600) out << whole / 3600 << ':' << std::setfill('0') << std::setw(2);
  out << whole / 60 % 60 << ':' << std::setfill('0') << std::setw(2) << whole % 60;
  return out.str();
}

}  // namespace

Progress::Progress(const World& world, std::string title, int64_t total_bytes)
    : tally_(world),
      title_(std::move(title)),
      total_bytes_(total_bytes),
      shows_(world.rank() == 0),
      terminal_(::isatty(STDERR_FILENO) == 1),
      next_line_(begin_ + kLineEvery) {}

void Progress::add(const WorkDone& more) {
  mine_.stored_bytes += more.stored_bytes;
  mine_.text_bytes += more.text_bytes;
  mine_.tokens += more.tokens;
  mine_.units += more.units;
  if (Clock::now() >= next_post_) post(false);
}

void Progress::post(bool last) {
  mine_.cpu_milliseconds = std::clock() / (CLOCKS_PER_SEC / 1000);
  last ? tally_.finish(to_numbers(mine_)) : tally_.post(to_numbers(mine_));
  next_post_ = Clock::now() + kPostEvery;
  if (shows_) show(to_work(tally_.sum()), false);
}

WorkDone Progress::finish() {
  post(true);
  if (!shows_) return mine_;
  while (!tally_.all_finished()) {
    std::this_thread::sleep_for(kPostEvery / 10);
    show(to_work(tally_.sum()), false);
  }
  const WorkDone done = to_work(tally_.sum());
  show(done, true);
  return done;
}

std::string Progress::line(const WorkDone& done) const {
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  const double total = static_cast<double>(total_bytes_);
  // Readers run a little ahead of what they must read.
  const double ahead = static_cast<double>(done.stored_bytes);
  const double read = total_bytes_ > 0 ? std::min(ahead, total) : ahead;
  std::ostringstream out;
  out << title_ << ": " << std::fixed << std::setprecision(1) << read / 1e6;
  if (total_bytes_ > 0) out << " of " << total / 1e6;
  out << " MB read";
  if (total_bytes_ > 0) out << " (" << std::setprecision(0) << 100 * read / total << " %)";
  out << std::setprecision(1) << ", " << static_cast<double>(done.text_bytes) / 1e6 / seconds
      << " MB/s of text";
  if (done.tokens > 0) out << ", " << static_cast<double>(done.tokens) / 1e6 << " M tokens";
  out << ", " << done.units << " units";
  if (total_bytes_ > 0 && read > 0 && read < total) {
    out << ", " << clock_time(seconds * (total - read) / read) << " left";
  }
  return out.str();
}

void Progress::show(const WorkDone& done, bool last) {
  const Clock::time_point now = Clock::now();
  if (terminal_) {
    // Overwrites the line before; erases what that had more.
    std::cerr << '\r' << line(done) << "\x1b[K" << (last ? "\n" : "") << std::flush;
  } else if (last || now >= next_line_) {
    next_line_ = now + kLineEvery;
    std::cerr << line(done) + '\n' << std::flush;
  }
}

}  // namespace funnel::shard_tool
