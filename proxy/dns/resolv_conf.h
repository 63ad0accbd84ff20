#pragma once

#include <string>
#include <vector>

#include "proxy/transport/byte_stream.h"

// What the platform says of its DNS, in a resolv.conf (resolv.conf(5)). Pure; any thread.

namespace weft::dns {

struct ResolvConf {
  std::vector<transport::Address> servers;  // Port 53, in their order.
  // The first domain that resolvers add to names; lower case, without dots at its ends. Empty: none.
  std::string search;
  bool operator==(const ResolvConf&) const = default;
};

// Lines that are of no use are left out, as resolvers do.
ResolvConf parse_resolv_conf(const std::string& text);

}  // namespace weft::dns
