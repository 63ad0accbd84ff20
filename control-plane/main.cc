#include "control-plane/server/options.h"
#include "control-plane/server/server.h"

// jemalloc's, where it is linked (third_party): one thread does nearly all the work, and thousands of connections rest.
extern "C" const char* malloc_conf;
const char* malloc_conf = "narenas:2,dirty_decay_ms:2000,muzzy_decay_ms:0";

int main(int argc, char** argv) {
  int exit_code = -1;
  const weft::control::server::Options options = weft::control::server::parse_options(argc, argv, &exit_code);
  return exit_code >= 0 ? exit_code : weft::control::server::run(options);
}
