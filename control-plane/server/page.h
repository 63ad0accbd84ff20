#pragma once

// A page of the admin port. A value.

#include <string>

namespace weft::control::server {

struct Page {
  std::string content_type;
  std::string body;
};

}  // namespace weft::control::server
