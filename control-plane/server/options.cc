#include "control-plane/server/options.h"

#include <CLI/CLI.hpp>

namespace weft::server {

std::string version() { return "0.1.0"; }

Options parse_options(int argc, char** argv, int* exit_code) {
  Options options;
  CLI::App app("The control plane: keeps the mesh's services and policies and pushes them to every proxy.",
               "weft-control");
  app.set_version_flag("--version", "weft-control " + version());
  app.add_option("--data-dir", options.data_dir, "Folder of the database; made if it is missing")->required();
  app.add_option("--control-socket", options.control_socket,
                 "Unix socket that weftctl calls (default: control.sock in the data folder)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    *exit_code = app.exit(error);
    return options;
  }
  if (options.control_socket.empty()) options.control_socket = options.data_dir + "/control.sock";
  *exit_code = -1;
  return options;
}

}  // namespace weft::server
