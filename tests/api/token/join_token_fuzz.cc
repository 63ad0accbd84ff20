#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/token/join_token.h"

// Whatever is taken for a token is written again as the same text, but for what stands around it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto token = weft::token::parse(text);
  if (token.ok() && text.find(weft::token::to_text(*token)) == std::string_view::npos) abort();
  return 0;
}
