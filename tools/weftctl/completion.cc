#include "tools/weftctl/completion.h"

namespace weft::weftctl {

std::string completion_script(const std::string& shell) {
  constexpr char kScript[] = R"sh(_weftctl_proxies() {
  weftctl proxy-status -o json 2>/dev/null | sed -n 's/^ *"id": "\(.*\)",*$/\1/p'
}
_weftctl() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
  local kinds="namespaces services endpointslices externalservices httproutes grpcroutes tcproutes tlsroutes
    referencegrants trafficpolicies scopes peerauthentications"
  case $before in
    -f|--filename|--config|--ca-file|--tls-cert|--tls-key) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -o|--output) COMPREPLY=($(compgen -W "yaml json" -- "$word")); return ;;
  esac
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "apply diff get delete history rollback analyze explain proxy-status proxy-config token
      ca inject uninject install version completion" -- "$word"))
  elif ((COMP_CWORD == 2)); then
    case $command in
      get) COMPREPLY=($(compgen -W "$kinds all workloads" -- "$word")) ;;
      delete|history) COMPREPLY=($(compgen -W "$kinds" -- "$word")) ;;
      token) COMPREPLY=($(compgen -W "create list revoke" -- "$word")) ;;
      ca) COMPREPLY=($(compgen -W "status rotate issued" -- "$word")) ;;
      proxy-config) COMPREPLY=($(compgen -W "listeners routes clusters endpoints secrets names" -- "$word")) ;;
      proxy-status) COMPREPLY=($(compgen -W "$(_weftctl_proxies)" -- "$word")) ;;
      completion) COMPREPLY=($(compgen -W "bash zsh" -- "$word")) ;;
      apply) COMPREPLY=($(compgen -W "-f --dry-run --wait --timeout" -- "$word")) ;;
      inject) COMPREPLY=($(compgen -W "-f --config --image --control --ca-file --form --log-level" -- "$word")) ;;
      install) COMPREPLY=($(compgen -W "--dry-run -o --namespace --image --proxy-image --image-pull-policy --replicas
        --storage --failure-policy --trust-domain --issuer --tls-cert --tls-key --webhook-url --control" -- "$word")) ;;
      diff|analyze|uninject) COMPREPLY=($(compgen -W "-f" -- "$word")) ;;
      rollback) COMPREPLY=($(compgen -W "--dry-run --wait --timeout" -- "$word")) ;;
      explain) COMPREPLY=($(compgen -W "--from --method --header --config-dump --output" -- "$word")) ;;
    esac
  elif ((COMP_CWORD == 3)) && [[ $command == proxy-config ]]; then
    COMPREPLY=($(compgen -W "$(_weftctl_proxies)" -- "$word"))
  fi
}
complete -o default -F _weftctl weftctl
)sh";
  return (shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : "") + std::string(kScript);
}

}  // namespace weft::weftctl
