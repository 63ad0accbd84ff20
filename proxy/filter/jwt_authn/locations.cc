#include "proxy/filter/jwt_authn/locations.h"

#include <algorithm>
#include <string>
#include <tuple>

#include "proxy/codec/http1/chars.h"

namespace weft::filter {
namespace {

using codec::http1::hex_digit;
using codec::http1::trim_whitespace;
using Where = FoundToken::Where;

// As Envoy's: from the first of a token's characters on.
std::string_view token_in(std::string_view text) {
  constexpr std::string_view kCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  size_t begin = text.find_first_of(kCharacters);
  if (begin != std::string_view::npos) text.remove_prefix(begin);
  return trim_whitespace(text);
}

// Calls f(name, value) for each "name=value" between separators.
template <typename F>
void for_each_pair(std::string_view text, char separator, F f) {
  while (!text.empty()) {
    std::string_view pair = text.substr(0, text.find(separator));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    size_t equals = pair.find('=');
    if (equals != std::string_view::npos)
      f(trim_whitespace(pair.substr(0, equals)), trim_whitespace(pair.substr(equals + 1)));
  }
}

std::string_view query_of(std::string_view path) {
  size_t question = path.find('?');
  if (question == std::string_view::npos) return {};
  path.remove_prefix(question + 1);
  return path.substr(0, path.find('#'));
}

// What an application takes for the same text is the same to us (RFC 3986, 2.1). What is no escape stays.
std::string_view decoded(std::string_view text, base::Arena& arena) {
  if (text.find('%') == std::string_view::npos) return text;
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    bool escape = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    out += escape ? static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])) : text[i];
    if (escape) i += 2;
  }
  return arena.copy(out);
}

std::string_view unquoted(std::string_view text) {
  bool quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
  return quoted ? text.substr(1, text.size() - 2) : text;
}

class Finder {
 public:
  explicit Finder(const http::RequestHead& request) : request_(request) {}

  void look_for(const JwtProvider& provider) {
    for (const JwtProvider::HeaderLocation& location : provider.headers) look_in_headers(location);
    for (const std::string& name : provider.params) {
      base::Arena& arena = request_.headers.arena();
      for_each_pair(query_of(request_.path), '&', [&](std::string_view key, std::string_view value) {
        if (decoded(key, arena) == name) add({Where::kParam, name, {}, decoded(value, arena)});
      });
    }
    for (const std::string& name : provider.cookies) {
      for (const http::Header& header : request_.headers) {
        if (header.id != http::HeaderId::kCookie) continue;
        for_each_pair(header.value, ';', [&](std::string_view key, std::string_view value) {
          if (key == name) add({Where::kCookie, name, {}, unquoted(value)});
        });
      }
    }
  }

  // Envoy lists them by place, a header's by name and prefix, and begins at the list's end.
  std::vector<FoundToken> in_order() {
    auto before = [](const FoundToken& a, const FoundToken& b) {
      return std::tuple(a.where, std::string(a.name).append(a.prefix)) <
             std::tuple(b.where, std::string(b.name).append(b.prefix));
    };
    std::stable_sort(found_.begin(), found_.end(), before);
    std::reverse(found_.begin(), found_.end());
    return std::move(found_);
  }

 private:
  void look_in_headers(const JwtProvider::HeaderLocation& location) {
    for (const http::Header& header : request_.headers) {
      if (!http::equals_ignoring_case(header.name, location.name)) continue;
      size_t at = header.value.find(location.prefix);
      if (at == std::string_view::npos) continue;
      std::string_view text = header.value.substr(at + location.prefix.size());
      add({Where::kHeader, location.name, location.prefix, token_in(text)});
    }
  }

  void add(const FoundToken& token) {
    bool is_known = std::any_of(found_.begin(), found_.end(), [&](const FoundToken& each) {
      return each.where == token.where && each.name == token.name && each.prefix == token.prefix &&
             each.text == token.text;
    });
    if (!is_known) found_.push_back(token);
  }

  const http::RequestHead& request_;
  std::vector<FoundToken> found_;
};

}  // namespace

std::vector<FoundToken> find_tokens(std::span<const JwtProviderPtr> providers, const http::RequestHead& request) {
  Finder finder(request);
  for (const JwtProviderPtr& provider : providers) finder.look_for(*provider);
  return finder.in_order();
}

bool looks_at(const JwtProvider& provider, const FoundToken& found) {
  const auto is_listed = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), found.name) != names.end();
  };
  switch (found.where) {
    case Where::kHeader:
      return std::any_of(provider.headers.begin(), provider.headers.end(), [&](const auto& location) {
        return location.name == found.name && location.prefix == found.prefix;
      });
    case Where::kParam:
      return is_listed(provider.params);
    case Where::kCookie:
      return is_listed(provider.cookies);
  }
  return false;
}

void remove_token(const FoundToken& token, http::RequestHead& request) {
  if (token.where == Where::kHeader) {
    request.headers.remove(token.name);
    return;
  }
  if (token.where != Where::kParam) return;
  std::string_view query = query_of(request.path);
  if (query.empty()) return;
  size_t before = static_cast<size_t>(query.data() - request.path.data());
  std::string kept;
  for (std::string_view rest = query; !rest.empty();) {
    std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (decoded(trim_whitespace(pair.substr(0, pair.find('='))), request.headers.arena()) == token.name) continue;
    kept.append(kept.empty() ? "" : "&").append(pair);
  }
  std::string path(request.path.substr(0, kept.empty() ? before - 1 : before));
  path.append(kept).append(request.path.substr(before + query.size()));
  request.path = request.headers.arena().copy(path);
}

}  // namespace weft::filter
