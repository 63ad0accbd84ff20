// A request by its path, its Authorization and its Cookie, one a line: whatever is found in it stands where it is
// looked for, and is not there once it has been taken out.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "proxy/base/assert.h"
#include "proxy/filter/jwt_authn/locations.h"

namespace {

std::string_view next_line(std::string_view* input) {
  std::string_view line = input->substr(0, input->find('\n'));
  input->remove_prefix(std::min(line.size() + 1, input->size()));
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft::filter;
  static const std::vector<JwtProviderPtr> kProviders = [] {
    auto one = std::make_shared<JwtProvider>(), two = std::make_shared<JwtProvider>();
    one->headers = {{"authorization", "Bearer "}};
    one->params = {"access_token"};
    two->headers = {{"authorization", ""}};
    two->params = {"tok", "access_token"};
    two->cookies = {"jar"};
    return std::vector<JwtProviderPtr>{one, two};
  }();
  std::string_view input(reinterpret_cast<const char*>(data), size);
  weft::base::Arena arena;
  weft::http::RequestHead head(arena);
  head.path = next_line(&input);
  head.headers.add("authorization", next_line(&input));
  head.headers.add("cookie", next_line(&input));
  for (const FoundToken& found : find_tokens(kProviders, head)) {
    WEFT_ASSERT(looks_at(*kProviders[0], found) || looks_at(*kProviders[1], found));
    remove_token(found, head);
  }
  for (const FoundToken& found : find_tokens(kProviders, head)) {
    WEFT_ASSERT(found.where == FoundToken::Where::kCookie);
  }
  return 0;
}
