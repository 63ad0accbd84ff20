#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "proxy/transport/byte_stream.h"

// The names that the mesh knows, by its services, as the control plane gives them (weft.v1.NameTable). Belongs to the
// responder; one thread.

namespace weft::dns {

// What is known of one service.
struct ServiceNames {
  std::vector<std::string> hosts;  // Lower case, without the last dot. "*.example.com": every name below example.com.
  std::vector<transport::Address> addresses;
  // It never takes the place of a service within the mesh that has the same host.
  bool external = false;
  bool operator==(const ServiceNames&) const = default;
};

// One change of it: what `service` is called from now on; nothing: it is gone.
struct NameChange {
  std::string service;  // "shop/cart"
  std::optional<ServiceNames> names;
};

class NameTable {
 public:
  void apply(NameChange change);
  // The domain that resolvers add first to names that are not complete; empty: none. They ask "web.example" as
  // "web.example.shop.svc.cluster.local", too, and are not kept waiting for that one to be looked for elsewhere.
  void set_search(std::string domain) { search_ = std::move(domain); }

  struct Found {
    const ServiceNames* names = nullptr;  // nullptr: the mesh does not know the name. Good until the next change.
    std::string_view canonical;           // Not empty: it was found with the search domain behind it, and is this one.
  };
  // `name` in lower case, without the last dot, with "\." for a dot within a label. Exact hosts before wildcards, of
  // which the longest one counts.
  Found find(std::string_view name) const;
  // Of services.
  size_t size() const { return services_.size(); }

 private:
  struct Service {
    std::string name;
    ServiceNames names;
  };
  // Who has a host; the first of them counts.
  using Owners = std::vector<const Service*>;
  using ByHost = absl::flat_hash_map<std::string, Owners>;

  const ServiceNames* find_exact(std::string_view name) const;
  const ServiceNames* find_wildcard(std::string_view name) const;
  ByHost& index_of(std::string_view host) { return host.starts_with("*.") ? wildcards_ : exact_; }
  void remove(const std::string& service);

  std::string search_;
  std::map<std::string, std::unique_ptr<const Service>> services_;
  ByHost exact_;
  ByHost wildcards_;  // By "*.example.com".
};

}  // namespace weft::dns
