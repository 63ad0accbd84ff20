#include "proxy/listener/directory.h"

#include <cstring>

namespace weft::listener {
namespace {

using transport::Address;

// Empty for what nobody can be found by.
std::string key_of(const Address& address) {
  if (address.port == 0 || (address.family != Address::Family::kIpv4 && address.family != Address::Family::kIpv6)) {
    return {};
  }
  std::string key(1, static_cast<char>(address.family));
  key += static_cast<char>(address.port >> 8);
  key += static_cast<char>(address.port & 0xff);
  key.append(reinterpret_cast<const char*>(address.ip), sizeof(address.ip));
  return key;
}

}  // namespace

void Directory::add(const Address& address, Acceptor& acceptor) {
  std::string key = key_of(address);
  if (!key.empty()) acceptors_[key] = &acceptor;
}

void Directory::remove(const Address& address, const Acceptor& acceptor) {
  auto found = acceptors_.find(key_of(address));
  if (found != acceptors_.end() && found->second == &acceptor) acceptors_.erase(found);
}

Acceptor* Directory::find(const Address& address) const {
  std::string key = key_of(address);
  auto found = acceptors_.find(key);
  if (found != acceptors_.end()) return found->second;
  Address any;
  any.family = address.family;
  any.port = address.port;
  found = acceptors_.find(key_of(any));
  return found == acceptors_.end() ? nullptr : found->second;
}

}  // namespace weft::listener
