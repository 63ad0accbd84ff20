#include "tools/weftctl/install.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <utility>

#include "control-plane/base/clock.h"
#include "control-plane/ca/server_certificate.h"
#include "tools/weftctl/client.h"
#include "tools/weftctl/files.h"

namespace weft::weftctl {

namespace {

using control::install::InstallOptions;
using text::Tree;

int wrong_use(const absl::Status& status) {
  std::cerr << "weftctl: " << status.message() << "\n";
  return kWrongUse;
}

// What weft-control shows to the API server and to proxies: of files, or made for the Service.
absl::Status complete(InstallCommand* command) {
  InstallOptions& options = command->options;
  if (command->certificate_file.empty()) {
    if (!options.webhook_url.empty()) {
      return absl::InvalidArgumentError(
          "--tls-cert: with --webhook-url weft-control runs elsewhere; expected the certificate that it shows, such as "
          "xds.crt of its data folder");
    }
    auto made = control::ca::make_certificate(control::install::service_names(options.namespace_name),
                                              control::base::system_clock().wall_ms());
    if (!made.ok()) return made.status();
    options.certificate = std::move(made->certificate_pem);
    options.key = std::move(made->key_pem);
    return absl::OkStatus();
  }
  if (!options.webhook_url.empty()) {
    if (!read_file(command->certificate_file, &options.certificate)) return absl::NotFoundError("no certificate");
    return absl::OkStatus();
  }
  if (command->key_file.empty()) return absl::InvalidArgumentError("--tls-key: expected the certificate's private key");
  auto given = control::ca::load_certificate(command->certificate_file, command->key_file);
  if (!given.ok()) return given.status();
  options.certificate = std::move(given->certificate_pem);
  options.key = std::move(given->key_pem);
  return absl::OkStatus();
}

std::string print(const std::vector<Tree>& objects, const std::string& output) {
  constexpr int kIndent = 2;
  if (output == "json") {
    const Tree list = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", objects}};
    return list.dump(kIndent) + "\n";
  }
  std::string out;
  for (const Tree& object : objects) out += (out.empty() ? "" : "---\n") + text::print_tree_yaml(object);
  return out;
}

bool is_on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

int apply_by_kubectl(const std::string& text) {
  if (!is_on_path("kubectl")) {
    std::cerr
        << "weftctl: install hands the manifests to kubectl, which is not on the PATH; `weftctl install --dry-run` "
           "prints them, to be applied by other means\n";
    return kWrongUse;
  }
  FILE* kubectl = popen("kubectl apply --server-side -f -", "w");
  const bool is_written = kubectl != nullptr && fwrite(text.data(), 1, text.size(), kubectl) == text.size();
  const int status = kubectl == nullptr ? -1 : pclose(kubectl);
  if (is_written && WIFEXITED(status) && WEXITSTATUS(status) == 0) return kDone;
  std::cerr << "weftctl: kubectl did not apply the manifests\n";
  return kRefused;
}

}  // namespace

int install(InstallCommand command) {
  if (absl::Status status = complete(&command); !status.ok()) return wrong_use(status);
  const auto objects = control::install::manifests(command.options);
  if (!objects.ok()) return wrong_use(objects.status());
  if (!command.dry_run) return apply_by_kubectl(print(*objects, "yaml"));
  std::cout << print(*objects, command.output);
  return kDone;
}

}  // namespace weft::weftctl
