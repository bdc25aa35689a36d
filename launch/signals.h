// SPDX-License-Identifier: Apache-2.0
// Requests to stop that come as signals. A handler only sets a flag; the ranks agree on it in
// StepWord, finish the step together, save and exit.
#pragma once

namespace funnel {

// From now on SIGTERM, SIGUSR1 and SIGINT request a stop; more of them change nothing. Called by
// the thread that computes.
void catch_stop_signals();

bool stop_requested();

// The signal that came first, or 0.
int stop_signal();

// Forgets the request.
void clear_stop_request();

}  // namespace funnel
