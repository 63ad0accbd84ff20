#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>
#include <string>

#include "tests/control-plane/registry/fed.h"

// What a change costs is counted in bytes that are asked for: times vary, and a copy of what did not change shows.

namespace {

size_t asked_bytes = 0;

void* take(size_t bytes) {
  asked_bytes += bytes;
  if (void* memory = std::malloc(bytes == 0 ? 1 : bytes); memory != nullptr) return memory;
  std::abort();
}

}  // namespace

void* operator new(size_t bytes) { return take(bytes); }
void* operator new[](size_t bytes) { return take(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace weft::control::registry {
namespace {

std::string service(int number, int port = 80) {
  return "{apiVersion: v1, kind: Service, metadata: {name: s" + std::to_string(number) +
         ", namespace: shop}, spec: {ports: [{port: " + std::to_string(port) + "}]}}\n---\n";
}

std::string slice(int number, int last_byte) {
  const std::string name = "s" + std::to_string(number);
  return "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: " + name +
         ", namespace: shop, labels: {kubernetes.io/service-name: " + name +
         "}}, addressType: IPv4, ports: [{port: 8080}], endpoints: [{addresses: [10.0.0." + std::to_string(last_byte) +
         "]}]}\n---\n";
}

struct Costs {
  size_t added = 0;
  size_t changed = 0;
  size_t endpoint = 0;
};

// Of changes beside `count` services of their namespace.
Costs costs_beside(int count) {
  Fed fed;
  std::string all;
  for (int i = 0; i < count; ++i) all += service(i) + slice(i, 1);
  fed.put(all);
  const auto cost_of = [&](const std::string& text) {
    const size_t before = asked_bytes;
    fed.put(text);
    return asked_bytes - before;
  };
  // The first change after a load pays for what the load left to be done.
  cost_of(slice(0, 2));
  Costs costs;
  costs.added = cost_of(service(count));
  costs.changed = cost_of(service(7, 81));
  costs.endpoint = cost_of(slice(7, 3));
  return costs;
}

TEST_CASE("what a change costs does not grow with the services beside it") {
  const Costs few = costs_beside(500);
  const Costs many = costs_beside(4'000);
  // Eight times as many; a part of a shared map has eight times as many entries, which is all that may show.
  CHECK(many.added < few.added * 2);
  CHECK(many.changed < few.changed * 2);
  CHECK(many.endpoint < few.endpoint * 2);
}

}  // namespace
}  // namespace weft::control::registry
