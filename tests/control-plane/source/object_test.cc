#include "control-plane/source/object.h"

#include <catch2/catch.hpp>

#include "kubernetes/core/v1/service.pb.h"
#include "kubernetes/meta/v1/meta.pb.h"

namespace weft::control::source {
namespace {

kubernetes::core::v1::Service service() {
  kubernetes::core::v1::Service out;
  out.mutable_metadata()->set_name("cart");
  (*out.mutable_metadata()->mutable_labels())["tier"] = "front";
  out.mutable_spec()->add_ports()->set_port(80);
  return out;
}

TEST_CASE("what stores set makes no object another one") {
  const kubernetes::core::v1::Service written = service();
  kubernetes::core::v1::Service stored = service();
  stored.mutable_metadata()->set_generation(7);
  stored.mutable_metadata()->set_resource_version("12");
  stored.mutable_metadata()->mutable_creation_timestamp()->set_seconds(1);
  stored.mutable_status();
  CHECK(same_intent(written, stored));
  CHECK(same_intent(stored, written));
}

TEST_CASE("what people write does, be it in the metadata, changed, added or left out") {
  const kubernetes::core::v1::Service before = service();
  kubernetes::core::v1::Service label = service();
  (*label.mutable_metadata()->mutable_labels())["tier"] = "back";
  CHECK_FALSE(same_intent(before, label));
  kubernetes::core::v1::Service port = service();
  port.mutable_spec()->mutable_ports(0)->set_port(81);
  CHECK_FALSE(same_intent(before, port));
  kubernetes::core::v1::Service more = service();
  more.mutable_spec()->add_ports()->set_port(443);
  CHECK_FALSE(same_intent(before, more));
  kubernetes::core::v1::Service less = service();
  less.clear_spec();
  CHECK_FALSE(same_intent(before, less));
  CHECK_FALSE(same_intent(less, before));
}

}  // namespace
}  // namespace weft::control::source
