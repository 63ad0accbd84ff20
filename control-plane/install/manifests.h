#pragma once

// What a cluster needs for the mesh: a namespace with weft-control in it, what it is let do, the webhook by which pods
// get their sidecars, and our kinds. Pure; any thread.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/text/tree.h"

namespace weft::control::install {

struct InstallOptions {
  std::string namespace_name = "weft-system";
  // Of weft-control and of weft-proxy.
  std::string image = "weft-control:0.1.0";
  std::string proxy_image = "weft-proxy:0.1.0";
  std::string image_pull_policy = "IfNotPresent";
  // 0 or 1: what one weft-control holds in its database another would not know of.
  int replicas = 1;
  // Of the database's volume; "none" for one that goes with the pod.
  std::string storage = "1Gi";
  // Whether pods are made without a sidecar where the webhook does not answer: "Ignore", or not at all: "Fail".
  std::string failure_policy = "Fail";
  // Of the workloads' SPIFFE IDs.
  std::string trust_domain = "cluster.local";
  // Who the cluster's service-account tokens say has issued them (kube-apiserver's --service-account-issuer).
  std::string issuer = "https://kubernetes.default.svc.cluster.local";
  // Where weft-control serves the webhook, if not within the cluster: "https://HOST:PORT/inject". Then there is no
  // Deployment and no Service.
  std::string webhook_url;
  // Where proxies reach it; the Service if empty.
  std::string control_address;
  // Of weft-control, for the webhook and for proxies, in PEM. The key is empty where it runs elsewhere.
  std::string certificate;
  std::string key;
};

// By which weft-control is called in the cluster: what its certificate must have.
std::vector<std::string> service_names(const std::string& namespace_name);

// In the order in which they can be applied. InvalidArgument says which option is wrong, by its name on weftctl's
// command line.
absl::StatusOr<std::vector<text::Tree>> manifests(const InstallOptions& options);

}  // namespace weft::control::install
