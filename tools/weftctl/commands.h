#pragma once

// weftctl's commands: what stands on the command line, the call that it makes, and what is printed of the answer. Main
// thread.

namespace weft::weftctl {

// Runs the command line; returns the process's exit code (client.h).
int run(int argc, char** argv);

}  // namespace weft::weftctl
