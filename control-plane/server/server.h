#pragma once

// weft-control as a process: opens the store, serves weftctl, ends on SIGTERM or SIGINT. Main thread.

#include "control-plane/server/options.h"

namespace weft::control::server {

// Returns the process's exit code: 0 after a signal, 1 if it could not start, with the reason on standard error.
int run(const Options& options);

}  // namespace weft::control::server
