#include <cstdio>

#include "proxy/server/options.h"
#include "proxy/server/server.h"

int main(int argc, char** argv) {
  int exit_code = -1;
  weft::server::Options options = weft::server::parse_options(argc, argv, &exit_code);
  if (exit_code >= 0) return exit_code;
  return weft::server::Server(std::move(options)).run();
}
