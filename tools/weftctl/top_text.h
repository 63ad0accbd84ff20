#pragma once

// What `weftctl top` shows, and how numbers of traffic are written. Pure.

#include <string>

#include "weft/v1/traffic.pb.h"

namespace weft::weftctl {

struct TopOptions {
  // Of what is in it the namespace is not written.
  std::string namespace_name;
  // "rate", "success", "p50", "p99", "bytes" or "name".
  std::string sort = "rate";
  size_t columns = 80;
  bool is_coloured = false;
};

std::string top_text(const v1::TrafficResponse& traffic, const TopOptions& options);

// "shop/cart", "cart" in its own namespace, "(outside)", "(unknown)".
std::string party_name(const v1::Party& party, const std::string& namespace_name);
// "12.3", "1.2k", "-" for nothing.
std::string rate_text(double per_second);
// "99.1%", "-" without requests.
std::string success_text(const v1::Flow& flow);
// "0.4ms", "12ms", "1.5s", "-".
std::string duration_text(double ms);
// "1.2MB", "-".
std::string bytes_text(double bytes);
// The share of requests that did not fail; 1 without any.
double success_of(const v1::Flow& flow);

// ANSI, or nothing.
enum class Colour { kNone, kBold, kDim, kGreen, kYellow, kRed };
Colour success_colour(const v1::Flow& flow);
std::string coloured(const std::string& text, Colour colour, bool is_coloured);

// Its width on a terminal, and the text cut to a width with "…" in its middle. UTF-8; one column for each character.
size_t width_of(const std::string& text);
std::string cut_to(const std::string& text, size_t width);

}  // namespace weft::weftctl
