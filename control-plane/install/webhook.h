#pragma once

// How the API server comes to ask weft-control about pods. Pure; any thread.

#include "api/text/tree.h"
#include "control-plane/install/manifests.h"

namespace weft::control::install {

// A MutatingWebhookConfiguration of two webhooks: pods of namespaces with the label weft.mesh/inject=true, unless they
// say "false" themselves; and in namespaces that say nothing, pods with that label of their own.
text::Tree webhook_configuration(const InstallOptions& options);

}  // namespace weft::control::install
