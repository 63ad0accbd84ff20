#pragma once

// Injection into the files that people have: YAML with any number of documents, or JSON. Pure; any thread.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "control-plane/inject/manifest.h"

namespace weft::control::inject {

struct RewrittenText {
  std::string text;
  // Of every pod that was found.
  std::vector<ObjectOutcome> outcomes;
};

// Documents in which nothing changes stay as they are to the byte, comments and all; the others are written anew.
// InvalidArgument, one line for each mistake, "cart.yaml:7:3: spec.template…: …". A file name that ends in .json means
// JSON; any other may be either.
absl::StatusOr<RewrittenText> rewrite_text(Action action, const Settings& settings, std::string_view text,
                                           std::string_view file_name);

}  // namespace weft::control::inject
