# bash completion of cloudron-fw

_cloudron_fw() {
  local cur prev words cword command='' word
  _init_completion || return
  for word in "${words[@]:1:cword-1}"; do
    case $word in
      apply | confirm | rollback | plan | check | show | verify | top | status | block | unblock | blocks | activity | simulate | explain | audit | render | panic | daemon | reset) command=$word ;;
    esac
  done
  case $prev in
    --policy | --socket | --from | --compare | --plot | --docker) _filedir; return ;;
    --state-dir | --root) _filedir -d; return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W 'nft text json' -- "$cur"); return ;;
    --since) mapfile -t COMPREPLY < <(compgen -W '1h 1d 7d' -- "$cur"); return ;;
    --what)
      mapfile -t COMPREPLY < <(compgen -W 'apply block unblock reset' -- "$cur")
      return
      ;;
    --for) mapfile -t COMPREPLY < <(compgen -W '10m 1h 1d 1w' -- "$cur"); return ;;
    --confirm) mapfile -t COMPREPLY < <(compgen -W '60s 5m 1h' -- "$cur"); return ;;
    --prefix6) mapfile -t COMPREPLY < <(compgen -W '48 56 64 128' -- "$cur"); return ;;
    --reason | --origin | --host | --top) return ;;
  esac
  local options='--policy --state-dir --socket --json --quiet --no-color --help'
  case $command in
    '') options+=' --version' ;;
    apply) options+=' --confirm --dry-run --force --accept-lists --boot' ;;
    show) options+=' --format' ;;
    block) options+=' --for --reason --origin --prefix6 --from --force' ;;
    unblock) options+=' --origin --prefix6 --from' ;;
    activity) options+=' --since --what --follow' ;;
    simulate) options+=' --compare --host --plot --top' ;;
    explain) options+=' --live --via' ;;
    top) options+=' --once' ;;
    audit) options+=' --docker --all --root' ;;
    panic) options+=' --force' ;;
    reset) options+=' --yes' ;;
  esac
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
  elif [[ -z $command ]]; then
    mapfile -t COMPREPLY < <(
      compgen -W 'apply confirm rollback plan check show verify top status block unblock blocks activity simulate explain audit render panic daemon reset' -- "$cur")
  elif [[ $command == check ]]; then
    _filedir toml
  elif [[ $command == audit ]]; then
    mapfile -t COMPREPLY < <(compgen -W 'sandbox host' -- "$cur")
  elif [[ $command == render ]]; then
    mapfile -t COMPREPLY < <(compgen -W 'apparmor' -- "$cur")
  elif [[ $command == panic ]]; then
    mapfile -t COMPREPLY < <(compgen -W 'on off' -- "$cur")
  elif [[ $command == simulate ]]; then
    _filedir
  elif [[ $command == unblock ]]; then
    mapfile -t COMPREPLY < <(
      compgen -W "$(cloudron-fw blocks --no-color 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$cur")
    __ltrim_colon_completions "$cur"
  fi
}
complete -F _cloudron_fw cloudron-fw
