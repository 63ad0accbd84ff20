#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proxy/http/metadata.h"
#include "proxy/route/matcher.h"

// A condition on a value deep in a request's metadata, as Envoy's MetadataMatcher and ValueMatcher. Immutable; any
// thread.

namespace weft::rbac {

struct ValueMatch {
  enum class Kind : uint8_t {
    kNull,
    kNumber,
    kRange,  // [start, end)
    kString,
    kBool,
    kPresent,
    kOneOf,  // A list that has an element for which parts[0] holds.
    kOr,     // Any of the parts.
  };
  Kind kind = Kind::kPresent;
  bool boolean = true;  // Of kBool and kPresent.
  double number = 0, end = 0;
  route::StringMatcher string;
  std::vector<ValueMatch> parts;

  // nullptr: there is no such value.
  bool holds(const http::MetadataValue* value) const;
};

struct MetadataMatch {
  std::string name;               // Of the filter whose metadata it is.
  std::vector<std::string> path;  // Keys, from the outermost on.
  ValueMatch value;
  bool invert = false;

  bool holds(const http::Metadata* metadata) const;
};

}  // namespace weft::rbac
