#include "api/token/join_token.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace weft::token {

namespace {

constexpr char kDigits[] = "0123456789abcdef";

void append_hex(const uint8_t* bytes, size_t size, std::string* out) {
  for (size_t i = 0; i < size; ++i) {
    out->push_back(kDigits[bytes[i] >> 4]);
    out->push_back(kDigits[bytes[i] & 15]);
  }
}

// -1 if it is none; only lower case, so that a token has one text.
int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool read_hex(std::string_view text, uint8_t* out) {
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) return false;
    out[i / 2] = static_cast<uint8_t>(high * 16 + low);
  }
  return true;
}

absl::Status broken(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("this is no join token: ", std::string(what),
                                                 "; expected what `weftctl token create` printed, which begins with ",
                                                 std::string(kPrefix)));
}

}  // namespace

std::string to_text(const JoinToken& token) {
  std::string out(kPrefix);
  out.reserve(kTextBytes);
  out += token.id;
  out.push_back('_');
  append_hex(token.secret.data(), token.secret.size(), &out);
  out.push_back('_');
  append_hex(token.fingerprint.data(), token.fingerprint.size(), &out);
  return out;
}

absl::StatusOr<JoinToken> parse(std::string_view text) {
  while (!text.empty() && absl::ascii_isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && absl::ascii_isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  if (text.empty()) return broken("it is empty");
  if (!text.starts_with(kPrefix)) return broken("it begins otherwise");
  if (text.size() != kTextBytes) {
    return broken(absl::StrCat("it has ", text.size(), " characters instead of ", kTextBytes));
  }
  const std::string_view id = text.substr(kPrefix.size(), 2 * kIdBytes);
  const std::string_view secret = text.substr(kPrefix.size() + id.size() + 1, 2 * kSecretBytes);
  const std::string_view fingerprint = text.substr(kTextBytes - 2 * kFingerprintBytes);
  const bool has_parts = id.data()[id.size()] == '_' && secret.data()[secret.size()] == '_';
  JoinToken token;
  std::array<uint8_t, kIdBytes> id_bytes;
  const bool is_hexadecimal = read_hex(id, id_bytes.data()) && read_hex(secret, token.secret.data()) &&
                              read_hex(fingerprint, token.fingerprint.data());
  if (!has_parts || !is_hexadecimal) return broken("its parts are not three numbers in hexadecimal digits");
  token.id = id;
  return token;
}

}  // namespace weft::token
