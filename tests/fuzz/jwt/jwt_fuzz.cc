#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

#include "control-plane/ca/jwt.h"

// A service account's token, and behind a zero byte the key set by which it is judged; without one, the set whose
// secret nobody has. By that one nothing is ever good.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace weft::control::ca;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t end = bytes.find('\0');
  const std::string_view token = bytes.substr(0, end);
  const JwtExpectations expected{.issuer = "i", .audience = "a", .now_ms = 1'700'000'000'000};
  if (end != std::string_view::npos) {
    const auto keys = read_jwks(bytes.substr(end + 1), "set");
    if (keys.ok()) (void)verify_jwt(token, *keys, expected);
    return 0;
  }
  static const std::vector<JsonWebKey>* const kUnknown = [] {
    const auto known_as = [](const char* id, weft::keys::KeyKind kind, Key key) {
      return JsonWebKey{.id = id, .algorithm = "", .key = {kind, std::move(key)}};
    };
    auto* keys = new std::vector<JsonWebKey>();
    keys->push_back(known_as("e", weft::keys::KeyKind::kP256, *make_key()));
    keys->push_back(known_as("r", weft::keys::KeyKind::kRsa, Key(EVP_RSA_gen(2048))));
    return keys;
  }();
  if (verify_jwt(token, *kUnknown, expected).ok()) abort();
  return 0;
}
