#pragma once

// A page of the admin port. A value.

#include <string>

namespace weft::server {

struct Page {
  std::string content_type;
  std::string body;
};

}  // namespace weft::server
