#include "tools/weftctl/commands.h"

#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "tools/weftctl/analyze.h"
#include "tools/weftctl/authority.h"
#include "tools/weftctl/client.h"
#include "tools/weftctl/completion.h"
#include "tools/weftctl/explain.h"
#include "tools/weftctl/inject.h"
#include "tools/weftctl/install.h"
#include "tools/weftctl/proxies.h"
#include "tools/weftctl/proxies_text.h"
#include "tools/weftctl/text.h"
#include "tools/weftctl/tokens.h"
#include "tools/weftctl/traffic.h"
#include "tools/weftctl/workloads.h"

namespace weft::weftctl {

namespace {

constexpr char kVersion[] = "0.1.0";
constexpr char kDefaultSocket[] = "/var/lib/weft/control.sock";

// What the command line says; each command uses its own.
struct Options {
  std::string socket = kDefaultSocket;
  std::vector<std::string> files;
  bool dry_run = false;
  std::string kind;
  std::string name;
  std::string namespace_name;
  bool all_namespaces = false;
  std::string output;
  uint32_t limit = 0;
  uint64_t revision = 0;
  std::string shell;
  TokenOptions token;
  bool force = false;
  bool wait = false;
  std::string timeout = "30s";
  std::string proxy;
  std::string proxy_types;
  ExplainOptions explained;
  InjectOptions inject;
  InstallCommand install;
  TrafficOptions traffic;
};

using Stub = v1::Control::Stub;

std::string words(const v1::ObjectReference& object) {
  return object.kind() + " " + (object.namespace_().empty() ? "" : object.namespace_() + "/") + object.name();
}

void set_object(const Options& options, v1::ObjectReference* object) {
  object->set_kind(options.kind);
  object->set_namespace_(options.namespace_name);
  object->set_name(options.name);
}

std::string outcome_word(v1::AppliedObject::Outcome outcome) {
  switch (outcome) {
    case v1::AppliedObject::CREATED:
      return "created";
    case v1::AppliedObject::CONFIGURED:
      return "configured";
    case v1::AppliedObject::DELETED:
      return "deleted";
    default:
      return "unchanged";
  }
}

void print_outcomes(const v1::ApplyResponse& response, bool dry_run) {
  for (const auto& object : response.objects()) {
    std::cout << words(object.object()) << " " << outcome_word(object.outcome()) << "\n";
    for (const std::string& warning : object.warnings()) {
      std::cerr << "warning: " << words(object.object()) << ": " << warning << "\n";
    }
  }
  if (response.objects().empty()) std::cout << "nothing to change\n";
  std::cout << (dry_run ? "dry run; the newest revision is still " : "revision ") << response.revision() << "\n";
}

// What was changed has been told; with --wait, it is waited for.
int finish_change(const Options& options, const v1::ApplyResponse& response) {
  print_outcomes(response, options.dry_run);
  if (!options.wait) return kDone;
  return await_applied(options.socket, response.revision(), *parse_duration_ms(options.timeout));
}

int apply(const Options& options, Stub* stub) {
  v1::ApplyRequest request;
  request.set_dry_run(options.dry_run);
  if (!read_documents(options.files, request.mutable_documents())) return kWrongUse;
  grpc::ClientContext context;
  v1::ApplyResponse response;
  if (const int code = tell(stub->Apply(&context, request, &response), options.socket); code != kDone) return code;
  return finish_change(options, response);
}

int diff(const Options& options, Stub* stub) {
  v1::ApplyRequest request;
  request.set_dry_run(true);
  if (!read_documents(options.files, request.mutable_documents())) return kWrongUse;
  grpc::ClientContext context;
  v1::ApplyResponse response;
  if (const int code = tell(stub->Apply(&context, request, &response), options.socket); code != kDone) return code;
  bool different = false;
  for (const auto& object : response.objects()) {
    if (object.outcome() == v1::AppliedObject::UNCHANGED) continue;
    different = true;
    std::cout << words(object.object()) << " would be " << outcome_word(object.outcome()) << "\n"
              << difference(object.before(), object.after());
  }
  return different ? kDifferent : kDone;
}

int remove(const Options& options, Stub* stub) {
  v1::DeleteRequest request;
  request.set_dry_run(options.dry_run);
  if (!read_documents(options.files, request.mutable_documents())) return kWrongUse;
  if (!options.kind.empty()) set_object(options, request.add_objects());
  if (request.objects().empty() && request.documents().empty()) {
    std::cerr << "weftctl: expected KIND and NAME, or -f with what is to be deleted\n";
    return kWrongUse;
  }
  grpc::ClientContext context;
  v1::ApplyResponse response;
  if (const int code = tell(stub->Delete(&context, request, &response), options.socket); code != kDone) return code;
  return finish_change(options, response);
}

std::string json_list(const v1::GetResponse& response) {
  std::string out = "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [";
  for (int i = 0; i < response.objects_size(); ++i) out += (i == 0 ? "\n" : ",\n") + response.objects(i).text();
  return out + "\n]}\n";
}

int get(const Options& options, Stub* stub) {
  if (options.kind == "workloads" || options.kind == "workload") {
    return get_workloads({options.all_namespaces, options.namespace_name, options.output}, stub, options.socket);
  }
  v1::GetRequest request;
  if (options.kind != "all") set_object(options, request.mutable_object());
  request.mutable_object()->set_namespace_(options.namespace_name);
  request.set_all_namespaces(options.all_namespaces);
  request.set_format(options.output == "json" ? v1::GetRequest::JSON : v1::GetRequest::YAML);
  grpc::ClientContext context;
  v1::GetResponse response;
  if (const int code = tell(stub->Get(&context, request, &response), options.socket); code != kDone) return code;
  if (options.output == "json") {
    std::cout << (options.name.empty() ? json_list(response) : response.objects(0).text() + "\n");
    return kDone;
  }
  if (options.output == "yaml") {
    for (int i = 0; i < response.objects_size(); ++i)
      std::cout << (i == 0 ? "" : "---\n") << response.objects(i).text();
    return kDone;
  }
  std::vector<std::vector<std::string>> rows = {{"KIND", "NAMESPACE", "NAME", "STATUS", "REVISION", "CREATED"}};
  for (const auto& found : response.objects()) {
    rows.push_back({found.object().kind(), found.object().namespace_(), found.object().name(),
                    found.summary().empty() ? "-" : found.summary(), std::to_string(found.revision()),
                    google::protobuf::util::TimeUtil::ToString(found.created())});
  }
  std::cout << (rows.size() == 1 ? "nothing found\n" : table(rows));
  return kDone;
}

int history(const Options& options, Stub* stub) {
  v1::HistoryRequest request;
  request.set_limit(options.limit);
  if (!options.kind.empty()) set_object(options, request.mutable_object());
  grpc::ClientContext context;
  v1::HistoryResponse response;
  if (const int code = tell(stub->History(&context, request, &response), options.socket); code != kDone) return code;
  std::vector<std::vector<std::string>> rows = {{"REVISION", "TIME", "BY", "OBJECTS"}};
  for (const auto& entry : response.entries()) {
    std::string objects = entry.objects().empty() ? "" : words(entry.objects(0));
    if (entry.objects_size() > 1) objects += " and " + std::to_string(entry.objects_size() - 1) + " more";
    rows.push_back({std::to_string(entry.revision()), google::protobuf::util::TimeUtil::ToString(entry.time()),
                    entry.author(), objects});
  }
  std::cout << table(rows);
  return kDone;
}

int roll_back(const Options& options, Stub* stub) {
  v1::RollbackRequest request;
  request.set_revision(options.revision);
  request.set_dry_run(options.dry_run);
  grpc::ClientContext context;
  v1::ApplyResponse response;
  if (const int code = tell(stub->Rollback(&context, request, &response), options.socket); code != kDone) return code;
  return finish_change(options, response);
}

int version(const Options& options, Stub* stub) {
  std::cout << "weftctl " << kVersion << "\n";
  grpc::ClientContext context;
  v1::VersionResponse response;
  if (const int code = tell(stub->Version(&context, {}, &response), options.socket); code != kDone) return code;
  std::cout << "weft-control " << response.version() << ", revision " << response.revision() << "\n";
  return kDone;
}

// The commands; `chosen` becomes what the one that stands on the command line does.
class CommandLine {
 public:
  explicit CommandLine(Options* options) : options_(options) {
    app_.require_subcommand(1);
    app_.add_option("--socket", options_->socket, "Unix socket of the control plane")
        ->envname("WEFT_CONTROL")
        ->capture_default_str();
    add_changes();
    add_views();
    add_tokens();
    add_authority();
    add_proxies();
    add_injection();
    add_install();
  }

  CLI::App& app() { return app_; }
  int run(Stub* stub) const { return chosen_(*options_, stub); }

 private:
  using Run = std::function<int(const Options&, Stub*)>;

  CLI::App* add(const std::string& name, const std::string& help, Run run) {
    CLI::App* command = app_.add_subcommand(name, help);
    command->fallthrough();
    command->callback([this, run = std::move(run)] { chosen_ = run; });
    return command;
  }

  CLI::Option* add_files(CLI::App* command) {
    return command->add_option("-f,--filename", options_->files,
                               "Files and folders of YAML or JSON; - is standard input");
  }
  void add_explain() {
    CLI::App* command =
        add("explain", "Which route a request takes and why, by the proxy's own matcher, and who serves it",
            [](const Options& options, Stub* stub) {
              ExplainOptions explained = options.explained;
              explained.output = options.output;
              return explain(explained, stub, options.socket);
            });
    ExplainOptions& explained = options_->explained;
    command->add_option("URL", explained.url, "As the caller's: http://cart:80/items?id=1, cart/items")->required();
    command->add_option("--from", explained.from,
                        "The caller: NAMESPACE or NAMESPACE/SERVICE; \"default\" if not given");
    command->add_option("-X,--method", explained.method, "Method")->capture_default_str();
    command->add_option("-H,--header", explained.headers, "A header as \"name: value\"; may be given again")
        ->allow_extra_args(false);
    command->add_option(
        "--config-dump", explained.config_dump,
        "What a running proxy's admin port answers for /config_dump: by its routes instead of those that "
        "it should have; - is standard input");
    add_output(command);
  }
  // What every command that changes something has.
  void add_change_options(CLI::App* command) {
    CLI::Option* dry_run =
        command->add_flag("--dry-run", options_->dry_run, "Check and tell everything, change nothing");
    CLI::Option* wait =
        command->add_flag("--wait", options_->wait,
                          "Wait until all connected proxies that the change concerns run it; exits with "
                          "5 if one refuses it or the time is over");
    wait->excludes(dry_run);
    const auto is_duration = [](const std::string& text) {
      return parse_duration_ms(text).has_value() ? std::string()
                                                 : "\"" + text + "\" is no duration, expected such as 500ms, 30s or 2m";
    };
    command->add_option("--timeout", options_->timeout, "How long --wait waits")
        ->capture_default_str()
        ->needs(wait)
        ->check(CLI::Validator(is_duration, "DURATION"));
  }
  void add_namespace(CLI::App* command) {
    command->add_option("-n,--namespace", options_->namespace_name, "Namespace; \"default\" if not given");
  }

  void add_changes() {
    CLI::App* command = add("apply", "Create or change objects, all or none", apply);
    add_files(command)->required();
    add_change_options(command);
    add_files(add("diff", "What apply would change; exits with 1 if anything", diff))->required();
    command = add("delete", "Delete objects", remove);
    CLI::Option* kind = command->add_option("KIND", options_->kind, "Kind, as service or svc");
    command->add_option("NAME", options_->name, "Name")->needs(kind);
    add_files(command);
    add_namespace(command);
    add_change_options(command);
    command = add("rollback", "Make everything as it was at a revision", roll_back);
    command->add_option("REVISION", options_->revision, "As history shows it")->required();
    add_change_options(command);
  }

  void add_proxies() {
    CLI::App* command =
        add("proxy-status", "How the connected proxies stand: what was sent, runs, or was refused",
            [](const Options& options, Stub*) { return proxy_status(options.socket, options.proxy, options.output); });
    command->add_option("PROXY", options_->proxy, "Its id; all if not given");
    add_output(command);
    command = add("proxy-config", "What a proxy was given and runs", [](const Options& options, Stub*) {
      return proxy_config(options.socket, options.proxy_types, options.proxy, options.output);
    });
    command->add_option("TYPE", options_->proxy_types, "What of it")
        ->required()
        ->check(CLI::IsMember({"listeners", "routes", "clusters", "endpoints", "secrets", "names"}));
    command->add_option("PROXY", options_->proxy, "Its id, as proxy-status shows it")->required();
    add_output(command);
  }

  void add_injection() {
    const auto with_files = [](const Options& options) {
      InjectOptions inject = options.inject;
      inject.files = options.files;
      return inject;
    };
    CLI::App* command = add("inject", "Write manifests anew with a sidecar in each pod, for kubectl to apply",
                            [with_files](const Options& options, Stub*) { return inject(with_files(options)); });
    add_files(command)->required();
    InjectOptions& chosen = options_->inject;
    command->add_option("--config", chosen.config, "What holds for all sidecars (weft.v1.InjectConfig), YAML or JSON")
        ->type_name("FILE");
    command->add_option("--image", chosen.image, "Image of weft-proxy");
    command->add_option("--control", chosen.control, "Where weft-control serves proxies")->type_name("HOST:PORT");
    command->add_option("--ca-file", chosen.ca_file, "PEM by which proxies know weft-control; it is written into pods")
        ->type_name("FILE");
    command->add_option("--form", chosen.form, "native: an init container that stays; classic: a container")
        ->check(CLI::IsMember({"native", "classic"}));
    command->add_option("--log-level", chosen.log_level, "Of weft-proxy");
    add_files(add("uninject", "Write manifests anew without the sidecars that inject put in",
                  [with_files](const Options& options, Stub*) { return uninject(with_files(options)); }))
        ->required();
  }

  void add_install() {
    CLI::App* command =
        add("install", "Put the mesh into a Kubernetes cluster, by kubectl; --dry-run prints what it takes",
            [](const Options& options, Stub*) {
              InstallCommand install = options.install;
              install.dry_run = options.dry_run;
              install.output = options.output;
              return weftctl::install(install);
            });
    control::install::InstallOptions& chosen = options_->install.options;
    command->add_flag("--dry-run", options_->dry_run,
                      "Print the manifests, the private key of weft-control among them");
    command->add_option("-o,--output", options_->output, "Format, with --dry-run; yaml if not given")
        ->check(CLI::IsMember({"yaml", "json"}));
    command->add_option("-n,--namespace", chosen.namespace_name, "Namespace of weft-control")->capture_default_str();
    command->add_option("--image", chosen.image, "Image of weft-control")->capture_default_str();
    command->add_option("--proxy-image", chosen.proxy_image, "Image of weft-proxy")->capture_default_str();
    command->add_option("--image-pull-policy", chosen.image_pull_policy, "Of both")
        ->capture_default_str()
        ->check(CLI::IsMember({"Always", "IfNotPresent", "Never"}));
    command->add_option("--replicas", chosen.replicas, "Of weft-control; at most 1")->capture_default_str();
    command->add_option("--storage", chosen.storage, "Size of its volume; none for one that goes with the pod")
        ->capture_default_str();
    command
        ->add_option("--failure-policy", chosen.failure_policy,
                     "What becomes of new pods while weft-control does not answer: Fail, they are not made; Ignore, "
                     "they have no sidecar")
        ->capture_default_str()
        ->check(CLI::IsMember({"Fail", "Ignore"}));
    command->add_option("--trust-domain", chosen.trust_domain, "Of the workloads' SPIFFE IDs")->capture_default_str();
    command->add_option("--issuer", chosen.issuer, "Who issues the cluster's service-account tokens")
        ->capture_default_str();
    command
        ->add_option("--tls-cert", options_->install.certificate_file,
                     "PEM with the certificate of weft-control; by default one is made")
        ->type_name("FILE");
    command->add_option("--tls-key", options_->install.key_file, "PEM with its private key")->type_name("FILE");
    command
        ->add_option("--webhook-url", chosen.webhook_url,
                     "Where weft-control serves its webhook, if it runs outside of the cluster")
        ->type_name("https://HOST:PORT/inject");
    command->add_option("--control", chosen.control_address, "Where proxies reach it, if that is not the Service")
        ->type_name("HOST:PORT");
  }

  void add_output(CLI::App* command) {
    command->add_option("-o,--output", options_->output, "Format; a table if not given")
        ->check(CLI::IsMember({"yaml", "json"}));
  }

  CLI::App* add_below(CLI::App* above, const std::string& name, const std::string& help, Run run) {
    CLI::App* command = above->add_subcommand(name, help);
    command->fallthrough();
    command->callback([this, run = std::move(run)] { chosen_ = run; });
    return command;
  }

  void add_tokens() {
    CLI::App* tokens = app_.add_subcommand("token", "Join tokens, by which proxies come into the mesh");
    tokens->fallthrough();
    tokens->require_subcommand(1);
    CLI::App* create =
        add_below(tokens, "create", "Make one and print it, the one time that it can be seen",
                  [](const Options& options, Stub* stub) { return create_token(options.token, stub, options.socket); });
    create->add_option("-n,--namespace", options_->token.namespace_name, "The namespace of those who come in by it")
        ->capture_default_str();
    create->add_option("--service", options_->token.service, "Their service; any of the namespace if not given");
    create->add_option("--ttl", options_->token.ttl, "How long new nodes may come in; those that did may come back")
        ->capture_default_str();
    create->add_option("--uses", options_->token.uses, "How many nodes may come in; 65536 if not given")
        ->check(CLI::PositiveNumber);
    CLI::App* list =
        add_below(tokens, "list", "Show all, without what is secret",
                  [](const Options& options, Stub* stub) { return list_tokens(options.output, stub, options.socket); });
    list->add_option("-o,--output", options_->output, "Format")->check(CLI::IsMember({"yaml", "json"}));
    CLI::App* revoke = add_below(
        tokens, "revoke", "Let nobody in by it any more, and end the streams of those who came in",
        [](const Options& options, Stub* stub) { return revoke_token(options.token.id, stub, options.socket); });
    revoke->add_option("ID", options_->token.id, "As list shows it")->required();
  }

  void add_authority() {
    CLI::App* authority = app_.add_subcommand("ca", "The certificate authority, which says who each workload is");
    authority->fallthrough();
    authority->require_subcommand(1);
    add_output(add_below(authority, "status", "Its roots, who trusts them, and how far a replacing of them has come",
                         [](const Options& options, Stub*) { return ca_status(options.output, options.socket); }));
    CLI::App* rotate =
        add_below(authority, "rotate",
                  "The next of three steps that replace the root: trust a new one, sign by it, drop the old one; "
                  "refused until the "
                  "step before has reached everybody",
                  [](const Options& options, Stub*) { return ca_rotate(options.force, options.socket); });
    rotate->add_flag("--force", options_->force, "Although something is in its way; what that breaks is told");
    CLI::App* issued =
        add_below(authority, "issued", "What it signed, the newest first", [](const Options& options, Stub*) {
          return ca_issued(options.name, options.limit, options.output, options.socket);
        });
    issued->add_option("WHOSE", options_->name, "Only of this SPIFFE ID or node");
    issued->add_option("--limit", options_->limit, "At most so many; 20 if not given")->check(CLI::PositiveNumber);
    add_output(issued);
  }

  void add_views() {
    CLI::App* command = add("get", "Show objects with their status", get);
    command
        ->add_option("KIND", options_->kind,
                     "Kind, as service or svc; all for every kind; workloads for those that announced themselves")
        ->required();
    command->add_option("NAME", options_->name, "Name; all of the kind if not given");
    add_namespace(command);
    command->add_flag("-A,--all-namespaces", options_->all_namespaces, "Of every namespace");
    add_output(command);
    command = add("history", "Revisions, the newest first", history);
    CLI::Option* kind = command->add_option("KIND", options_->kind, "Only of this object");
    CLI::Option* name = command->add_option("NAME", options_->name, "Its name");
    name->needs(kind);
    kind->needs(name);
    add_namespace(command);
    command->add_option("--limit", options_->limit, "At most so many; 20 if not given")->check(CLI::PositiveNumber);
    command = add("analyze", "What is wrong with the mesh; ends with 3 for errors, 1 for warnings, else 0",
                  [](const Options& options, Stub* stub) {
                    return analyze(options.files, options.output, stub, options.socket);
                  });
    add_files(command)->description("Files and folders that would be applied: what they would bring with them");
    add_output(command);
    add_explain();
    command = add("top", "What flows through the mesh now: rates, success and latencies of services and edges",
                  [](const Options& options, Stub*) { return top(options.traffic, options.socket); });
    add_top_options(*command, options_->traffic);
    command = add("graph", "Who calls whom in the mesh, as a tree, a picture or for Graphviz",
                  [](const Options& options, Stub*) { return graph(options.traffic, options.socket); });
    add_graph_options(*command, options_->traffic);
    add("version", "Versions of weftctl and of the control plane", version);
    command =
        add("completion", "Print a script that completes commands in the shell", [](const Options& options, Stub*) {
          std::cout << completion_script(options.shell);
          return static_cast<int>(kDone);
        });
    command->add_option("SHELL", options_->shell, "Shell")->required()->check(CLI::IsMember({"bash", "zsh"}));
  }

  CLI::App app_{"Talks to the mesh's control plane.", "weftctl"};
  Options* const options_;
  Run chosen_;
};

}  // namespace

int run(int argc, char** argv) {
  Options options;
  CommandLine line(&options);
  try {
    line.app().parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return line.app().exit(error) == 0 ? kDone : kWrongUse;
  }
  return line.run(connect(options.socket).get());
}

}  // namespace weft::weftctl
