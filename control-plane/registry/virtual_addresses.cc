#include "control-plane/registry/virtual_addresses.h"

#include <cstdio>
#include <string_view>

namespace weft::control::registry {

namespace {

constexpr uint32_t kNumbers = 65'536;

// The first and the last address of a /24 look like its network and its broadcast address, and some take them for it.
bool is_usable(uint32_t number) { return (number & 0xff) != 0 && (number & 0xff) != 0xff; }

// FNV-1a: the same in every process and build.
uint32_t hash(uint32_t seed, std::string_view text) {
  constexpr uint32_t kPrime = 16'777'619;
  uint32_t value = seed;
  for (const char c : text) value = (value ^ static_cast<uint8_t>(c)) * kPrime;
  return value;
}

// Where a service would stand if it were alone: a control plane that lost its notes mostly finds the same again.
uint32_t preferred(const ServiceName& service) {
  constexpr uint32_t kBasis = 2'166'136'261;
  uint32_t value = hash(kBasis, service.external ? "external/" : "service/");
  value = hash(value, service.namespace_name);
  value = hash(hash(value, "/"), service.name);
  return (value ^ value >> 16) % kNumbers;
}

std::vector<std::string> addresses_of(uint16_t number) {
  char text[48];
  std::vector<std::string> out;
  std::snprintf(text, sizeof(text), "240.240.%u.%u", number >> 8, number & 0xffU);
  out.emplace_back(text);
  // As they are printed: the group's leading zeros are not.
  std::snprintf(text, sizeof(text), "2001:2::f0f0:%x", static_cast<unsigned>(number));
  out.emplace_back(text);
  return out;
}

}  // namespace

std::vector<std::string> VirtualAddresses::assign(const ServiceName& service) {
  unclaimed_.erase(service);
  if (const auto found = numbers_.find(service); found != numbers_.end()) return addresses_of(found->second);
  const uint32_t first = preferred(service);
  for (uint32_t i = 0; i < kNumbers; ++i) {
    const auto number = static_cast<uint16_t>((first + i) % kNumbers);
    if (!is_usable(number) || !taken_.insert(number).second) continue;
    numbers_.emplace(service, number);
    changed_.insert(service);
    return addresses_of(number);
  }
  return {};
}

void VirtualAddresses::release(const ServiceName& service) {
  unclaimed_.erase(service);
  const auto found = numbers_.find(service);
  if (found == numbers_.end()) return;
  taken_.erase(found->second);
  numbers_.erase(found);
  changed_.insert(service);
}

void VirtualAddresses::restore(const std::vector<Assignment>& known) {
  for (const Assignment& each : known) {
    if (!is_usable(each.number) || numbers_.contains(each.service) || !taken_.insert(each.number).second) continue;
    numbers_.emplace(each.service, each.number);
    unclaimed_.insert(each.service);
  }
}

void VirtualAddresses::release_unclaimed() {
  const std::set<ServiceName> unclaimed = unclaimed_;
  for (const ServiceName& service : unclaimed) release(service);
}

std::vector<VirtualAddresses::Change> VirtualAddresses::take_changes() {
  std::vector<Change> changes;
  for (const ServiceName& service : changed_) {
    const auto found = numbers_.find(service);
    changes.push_back({service, found == numbers_.end() ? std::nullopt : std::optional(found->second)});
  }
  changed_.clear();
  return changes;
}

}  // namespace weft::control::registry
