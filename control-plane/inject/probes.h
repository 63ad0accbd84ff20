#pragma once

// The application's probes, which the kubelet sends to the proxy instead (README.md). Pure; any thread.

#include <string>
#include <vector>

#include "api/text/tree.h"

namespace weft::control::inject {

// Of the proxy: where its own readiness and the application's probes are asked for.
inline constexpr int kHealthPort = 15021;

struct RewrittenProbes {
  // What WEFT_APP_PROBES says: by path, what the proxy asks the application.
  text::Tree for_proxy = text::Tree::object();
  // By container and probe, the handler that was.
  text::Tree originals = text::Tree::object();
  std::vector<std::string> warnings;
};

// Those of all containers of a pod's spec, in place.
RewrittenProbes rewrite_probes(text::Tree* spec);
// The other way round; a probe that someone has changed since is left alone.
void restore_probes(const text::Tree& originals, text::Tree* spec);

}  // namespace weft::control::inject
