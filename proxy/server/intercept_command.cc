#include "proxy/server/intercept_command.h"

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>

#include "api/text/cat.h"
#include "proxy/dns/resolv_conf.h"

namespace weft::server {
namespace {

using intercept::Cidr;
using intercept::Rules;
using text::cat;

constexpr uint16_t kMaxPort = 65535;
constexpr char kResolvConf[] = "/etc/resolv.conf";

std::string read_file(const char* path) {
  std::ifstream in(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

void add_port(CLI::App& app, const char* name, uint16_t& port, const char* help) {
  app.add_option(name, port, help)->type_name("PORT")->capture_default_str()->check(CLI::Range(uint16_t{1}, kMaxPort));
}

template <typename Number>
void add_numbers(CLI::App& app, const char* name, std::vector<Number>& numbers, const char* type, const char* help) {
  Number least = std::is_same_v<Number, uint16_t> ? 1 : 0;
  app.add_option(name, numbers, help)
      ->type_name(type)
      ->delimiter(',')
      ->check(CLI::Range(least, std::numeric_limits<Number>::max()));
}

// "*" is every network.
void add_cidrs(CLI::App& app, const char* name, std::vector<Cidr>& cidrs, const char* help) {
  auto check = [](const std::string& text) {
    if (text == "*") return std::string();
    auto parsed = intercept::parse_cidr(text);
    return parsed.ok() ? std::string() : std::string(parsed.status().message());
  };
  auto take = [&cidrs](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      if (text == "*") {
        cidrs.push_back(*intercept::parse_cidr("0.0.0.0/0"));
        cidrs.push_back(*intercept::parse_cidr("::/0"));
      } else {
        cidrs.push_back(*intercept::parse_cidr(text));
      }
    }
  };
  app.add_option_function<std::vector<std::string>>(name, take, help)->type_name("CIDRS")->delimiter(',')->check(check);
}

void add_selection(CLI::App& app, Rules& rules) {
  add_numbers(app, "--exclude-inbound-ports", rules.exclude_inbound_ports, "PORTS",
              "Connections to these go to the application as they are, with commas between");
  add_numbers(app, "--include-inbound-ports", rules.include_inbound_ports, "PORTS",
              "Connections to no other ports are taken; by default those to all");
  app.add_flag_callback("--no-inbound", [&rules] { rules.inbound = false; }, "No connections of others are taken");
  add_numbers(app, "--exclude-outbound-ports", rules.exclude_outbound_ports, "PORTS",
              "Connections to these leave as they are");
  add_numbers(app, "--include-outbound-ports", rules.include_outbound_ports, "PORTS",
              "With --include-outbound-cidrs: connections to others of neither leave as they are");
  add_cidrs(app, "--exclude-outbound-cidrs", rules.exclude_outbound_cidrs,
            "Connections to these networks leave as they are");
  add_cidrs(app, "--include-outbound-cidrs", rules.include_outbound_cidrs,
            "Connections to other networks leave as they are; by default, and with *, those to all are taken");
  add_numbers(app, "--exclude-uids", rules.exclude_uids, "UIDS", "What these users send leaves as it is");
  add_numbers(app, "--include-uids", rules.include_uids, "UIDS",
              "What other users send leaves as it is; by default that of all but the proxy is taken");
}

}  // namespace

CLI::App* add_intercept_command(CLI::App& app, InterceptCommand& command) {
  Rules& rules = command.rules;
  CLI::App* intercept = app.add_subcommand(
      "intercept",
      "Writes the rules by which connections of this network namespace go through its sidecar, and ends. In place of "
      "those of an earlier run; all of them or none. Needs CAP_NET_ADMIN, and nft or iptables");
  intercept->footer("Ports 15000, 15020, 15021 and 15090 are the sidecar's own and are never taken.");
  intercept
      ->add_option_function<std::string>(
          "--mode",
          [&rules](const std::string& mode) {
            rules.mode = mode == "tproxy" ? Rules::Mode::kTproxy : Rules::Mode::kRedirect;
          },
          "How inbound connections are taken: redirect, or tproxy, which keeps their addresses and needs "
          "CAP_NET_ADMIN or CAP_NET_RAW in the sidecar, too")
      ->check(CLI::IsMember({"redirect", "tproxy"}))
      ->type_name("MODE")
      ->default_str("redirect");
  add_port(*intercept, "--outbound-port", rules.outbound_port, "Where the sidecar takes what is sent from here");
  add_port(*intercept, "--inbound-port", rules.inbound_port, "Where it takes what others send");
  intercept->add_option("--uid", rules.uid, "The sidecar's user, whose own connections leave as they are")
      ->type_name("UID")
      ->capture_default_str();
  intercept->add_option("--gid", rules.gid, "Its group, which the same holds for")
      ->type_name("GID")
      ->capture_default_str();
  add_selection(*intercept, rules);
  intercept->add_flag("--redirect-dns", command.redirect_dns,
                      "Questions to the nameservers of /etc/resolv.conf go to --dns-port of loopback, where "
                      "weft-proxy sidecar --dns answers them");
  add_port(*intercept, "--dns-port", command.dns_port, "For --redirect-dns");
  intercept->add_flag("--dns-all", command.dns_all, "With --redirect-dns: questions to any nameserver");
  intercept->add_flag("--no-ipv6", command.no_ipv6, "Leaves IPv6 out of account; by default if there is none here");
  intercept
      ->add_option_function<std::string>(
          "--backend",
          [&command](const std::string& name) {
            command.backend = name == "nft"        ? intercept::Backend::kNft
                              : name == "iptables" ? intercept::Backend::kIptables
                                                   : intercept::Backend::kAuto;
          },
          "nft, iptables, or auto: nft, and iptables where that does not work")
      ->check(CLI::IsMember({"auto", "nft", "iptables"}))
      ->type_name("BACKEND")
      ->default_str("auto");
  auto* dry_run = intercept->add_flag("--dry-run", command.dry_run, "Prints what would be done, as a shell script");
  intercept->add_flag("--clean", command.clean, "Takes away all that earlier runs did")->excludes(dry_run);
  return intercept;
}

int run_intercept(InterceptCommand command) {
  auto fail = [](std::string_view message) {
    std::cerr << "weft-proxy intercept: " << message << "\n";
    return 1;
  };
  Rules& rules = command.rules;
  if (command.redirect_dns) {
    rules.dns_port = command.dns_port;
    if (!command.dns_all) {
      rules.dns_servers = dns::parse_resolv_conf(read_file(kResolvConf)).servers;
      if (rules.dns_servers.empty()) {
        return fail(cat("--redirect-dns: ", kResolvConf, " names no nameserver; --dns-all takes questions to any"));
      }
    }
  }
  std::unique_ptr<intercept::Commands> commands = intercept::system_commands();
  intercept::Target target{command.backend, !command.no_ipv6 && !read_file("/proc/net/if_inet6").empty()};
  if (command.dry_run) {
    absl::StatusOr<std::string> script = dry_run(rules, target, *commands);
    if (!script.ok()) return fail({script.status().message().data(), script.status().message().size()});
    std::cout << *script;
    return 0;
  }
  if (!intercept::may_change_rules(read_file("/proc/self/status"))) {
    return fail(
        "CAP_NET_ADMIN is missing; run it as root of the network namespace (Kubernetes: "
        "securityContext.capabilities.add: [NET_ADMIN, NET_RAW] of the init container)");
  }
  absl::Status status = command.clean ? clean(*commands) : apply(rules, target, *commands);
  if (!status.ok()) return fail({status.message().data(), status.message().size()});
  return 0;
}

}  // namespace weft::server
