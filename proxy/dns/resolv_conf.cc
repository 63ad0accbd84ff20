#include "proxy/dns/resolv_conf.h"

#include <sstream>
#include <utility>

namespace weft::dns {
namespace {

constexpr uint16_t kDnsPort = 53;

std::string as_domain(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  while (text.ends_with('.')) text.pop_back();
  return text.starts_with('.') ? text.substr(1) : text;
}

}  // namespace

ResolvConf parse_resolv_conf(const std::string& text) {
  ResolvConf result;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key, value;
    if (!(words >> key >> value)) continue;
    if (key == "nameserver") {
      transport::Address address = transport::Address::parse_ip(value, kDnsPort);
      if (address.family != transport::Address::Family::kNone) result.servers.push_back(std::move(address));
    }
    // The last of these counts.
    if (key == "search" || key == "domain") result.search = as_domain(std::move(value));
  }
  return result;
}

}  // namespace weft::dns
