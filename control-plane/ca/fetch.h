#pragma once

// A small text by HTTP GET. Any thread, which waits for it.

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace weft::control::ca {

struct FetchOptions {
  // PEM with the roots that an https server's certificate must hang from; the system's if empty.
  std::string root_path;
  // A file whose content is shown as "authorization: Bearer ..."; none if empty. It is read each time.
  std::string token_path;
  size_t max_bytes = 0;
  int timeout_ms = 5'000;
};

// InvalidArgument if it is neither https://... nor http:// of loopback (127.0.0.1, [::1], localhost).
absl::Status check_url(const std::string& url);
// The body of a 200. Unavailable says what went wrong, with the URL.
absl::StatusOr<std::string> fetch(const std::string& url, const FetchOptions& options);

}  // namespace weft::control::ca
