#pragma once

// weft-control's command line. Main thread.

#include <string>

namespace weft::server {

struct Options {
  // Made if it is missing; for its owner only.
  std::string data_dir;
  // Where weftctl calls; DATA_DIR/control.sock if not given.
  std::string control_socket;
};

// Parses. `exit_code` ≥ 0: there is nothing to run (--help, --version, a wrong option; the text has been printed).
Options parse_options(int argc, char** argv, int* exit_code);

// "0.1.0".
std::string version();

}  // namespace weft::server
