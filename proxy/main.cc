#include <cstdio>

#include "proxy/server/options.h"
#include "proxy/server/server.h"
#include "proxy/server/supervisor.h"

int main(int argc, char** argv) {
  int exit_code = -1;
  weft::server::Options options = weft::server::parse_options(argc, argv, &exit_code);
  if (exit_code >= 0) return exit_code;
  if (options.intercept) return weft::server::run_intercept(*std::move(options.intercept));
  if (options.wait) return weft::server::run_wait(*options.wait);
  if (options.run && !options.sidecar->print_bootstrap) return weft::server::run_supervised(std::move(options));
  return weft::server::Server(std::move(options)).run();
}
