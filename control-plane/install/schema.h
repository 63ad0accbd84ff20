#pragma once

// The OpenAPI v3 schema of a kind, from its proto: what Kubernetes checks before anybody of ours sees an object. It is
// structural, as custom resources must be. Pure; any thread.

#include "api/text/tree.h"

namespace google::protobuf {
class Descriptor;
}  // namespace google::protobuf

namespace weft::control::install {

// Of a kind's own message, with apiVersion, kind and metadata. Fields have their JSON names; what a message cannot say
// by its type, such as which words a string may be, is for the control plane to check.
text::Tree schema_of_kind(const google::protobuf::Descriptor& kind);

}  // namespace weft::control::install
