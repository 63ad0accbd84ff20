#include "tools/weftctl/completion.h"

namespace weft::weftctl {

std::string completion_script(const std::string& shell) {
  constexpr char kScript[] = R"(_weftctl() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
  local kinds="namespaces services endpointslices externalservices httproutes grpcroutes tcproutes tlsroutes
    referencegrants trafficpolicies"
  case $before in
    -f|--filename) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -o|--output) COMPREPLY=($(compgen -W "yaml json" -- "$word")); return ;;
  esac
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "apply diff get delete history rollback token version completion" -- "$word"))
  elif ((COMP_CWORD == 2)); then
    case $command in
      get) COMPREPLY=($(compgen -W "$kinds all workloads" -- "$word")) ;;
      delete|history) COMPREPLY=($(compgen -W "$kinds" -- "$word")) ;;
      token) COMPREPLY=($(compgen -W "create list revoke" -- "$word")) ;;
      completion) COMPREPLY=($(compgen -W "bash zsh" -- "$word")) ;;
      apply|diff) COMPREPLY=($(compgen -W "-f" -- "$word")) ;;
    esac
  fi
}
complete -o default -F _weftctl weftctl
)";
  return (shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : "") + std::string(kScript);
}

}  // namespace weft::weftctl
