// A token, and a key set: the first line is the one, the rest the other. Neither may do more than be refused.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/text/base64url.h"
#include "proxy/base/assert.h"
#include "proxy/filter/jwt_authn/keys.h"
#include "proxy/filter/jwt_authn/token.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft::filter;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  size_t line = std::min(input.find('\n'), input.size());
  std::string_view text = input.substr(0, line);
  std::string bytes;
  if (weft::text::decode_base64url(text, &bytes)) WEFT_ASSERT(weft::text::encode_base64url(bytes) == text);
  Token token;
  TokenError error = parse_token(text, &token);
  if (error == TokenError::kNone) {
    weft::base::Arena arena;
    WEFT_ASSERT(to_metadata(token.payload_json, {"scope"}, arena) != nullptr);
  }
  auto keys = KeySet::parse(input.substr(std::min(line + 1, input.size())));
  if (keys.ok() && error == TokenError::kNone) (*keys)->verify(token);
  return 0;
}
