#include "control-plane/server/options.h"
#include "control-plane/server/server.h"

int main(int argc, char** argv) {
  int exit_code = -1;
  const weft::control::server::Options options = weft::control::server::parse_options(argc, argv, &exit_code);
  return exit_code >= 0 ? exit_code : weft::control::server::run(options);
}
