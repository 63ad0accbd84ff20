#pragma once

#include <emmintrin.h>

#include <array>
#include <cstdint>
#include <string_view>

// Which bytes may stand where in an HTTP/1 head (RFC 9110, 5.6.2 and 5.5; RFC 9112, 3.2). Pure.

namespace weft::codec::http1 {

inline constexpr std::array<bool, 256> kTokenChars = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = table[c - 0x20] = true;
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

inline bool is_token_char(char c) { return kTokenChars[static_cast<unsigned char>(c)]; }

inline bool is_token(std::string_view text) {
  for (char c : text) {
    if (!is_token_char(c)) return false;
  }
  return !text.empty();
}

// Field values: visible ASCII, space, tab and obs-text; no other control character, so no CR, LF or NUL.
inline bool is_field_value(std::string_view text) {
  const char* at = text.data();
  size_t left = text.size();
  const __m128i space = _mm_set1_epi8(0x20), tab = _mm_set1_epi8(0x09), del = _mm_set1_epi8(0x7f);
  auto valid = [&](__m128i bytes) {
    // Unsigned "below 0x20": equal to the minimum of itself and 0x1f.
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_sub_epi8(space, _mm_set1_epi8(1))), bytes);
    __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), low), _mm_cmpeq_epi8(bytes, del));
    return _mm_movemask_epi8(bad) == 0;
  };
  auto sixteen = [](const char* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); };
  auto eight = [](const char* from) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)); };
  // The last bytes are looked at by a load that overlaps the one before.
  if (left >= 16) {
    for (; left > 16; at += 16, left -= 16) {
      if (!valid(sixteen(at))) return false;
    }
    return valid(sixteen(at + left - 16));
  }
  if (left >= 8) return valid(_mm_unpacklo_epi64(eight(at), eight(at + left - 8)));
  for (; left != 0; ++at, --left) {
    auto c = static_cast<unsigned char>(*at);
    if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
  }
  return true;
}

// A request target: visible ASCII only.
inline bool is_target(std::string_view text) {
  for (char c : text) {
    if (c <= 0x20 || c >= 0x7f) return false;  // char is signed: bytes above 0x7f are below zero.
  }
  return !text.empty();
}

inline int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

inline std::string_view trim_whitespace(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace weft::codec::http1
