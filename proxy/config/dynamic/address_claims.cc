#include "proxy/config/dynamic/address_claims.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace weft::config {

namespace {

std::string key_of(const transport::Address& address) {
  return absl::StrCat(static_cast<int>(address.family), " ", address.to_string(), "%", address.scope_id);
}

}  // namespace

AddressClaims::Claim::~Claim() {
  if (holders_ == nullptr) return;
  std::vector<const std::string*>& names = at_->second;
  names.erase(std::find(names.begin(), names.end(), name_));
  if (names.empty()) holders_->erase(at_);
}

AddressClaims::Claim AddressClaims::claim(const transport::Address& address, const std::string& name) {
  auto holders = holders_.try_emplace(key_of(address)).first;
  holders->second.push_back(&name);
  return {holders_, holders, name};
}

std::string AddressClaims::holder_of(const transport::Address& address, std::string_view but) const {
  auto holders = holders_.find(key_of(address));
  if (holders == holders_.end()) return {};
  auto other = std::ranges::find_if(holders->second, [but](const std::string* name) { return *name != but; });
  return other == holders->second.end() ? "" : **other;
}

}  // namespace weft::config
