#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/transport/byte_stream.h"

// Which listeners have which addresses, so that no two of them have one; found by the address, as there may be
// thousands. Belongs to Listeners; one thread.

namespace weft::config {

class AddressClaims {
 private:
  // By a text of the address: the names of those who have it, each as often as it claimed it.
  using Holders = std::map<std::string, std::vector<const std::string*>>;

 public:
  // The address is a listener's as long as this lives.
  class Claim {
   public:
    Claim(Holders& holders, Holders::iterator at, const std::string& name)
        : holders_(&holders), at_(at), name_(&name) {}
    Claim(Claim&& other) noexcept
        : holders_(std::exchange(other.holders_, nullptr)), at_(other.at_), name_(other.name_) {}
    Claim& operator=(Claim&&) = delete;
    ~Claim();

   private:
    Holders* holders_;  // nullptr: it was moved from.
    Holders::iterator at_;
    const std::string* name_;
  };

  // `name` and the AddressClaims outlive the claim.
  [[nodiscard]] Claim claim(const transport::Address& address, const std::string& name);
  // Who has the address and is not called `but`; empty: nobody.
  std::string holder_of(const transport::Address& address, std::string_view but) const;

 private:
  Holders holders_;
};

}  // namespace weft::config
