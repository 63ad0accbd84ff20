#pragma once

#include "proxy/server/options.h"

// `weft-proxy run`: this process starts the proxy and the application as children, waits for them, and passes on
// signals; what happens when is decided by lifecycle/. Before the first thread.

namespace weft::server {

// The process's exit code: the application's, or what ended all before it ran.
int run_supervised(Options options);

}  // namespace weft::server
