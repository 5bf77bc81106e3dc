# bash completion of cloudron-fw

_cloudron_fw() {
  local cur prev words cword command='' word
  _init_completion || return
  for word in "${words[@]:1:cword-1}"; do
    case $word in
      apply | plan | check | show | status | block | unblock | blocks | simulate | reset) command=$word ;;
    esac
  done
  case $prev in
    --policy | --from | --compare | --plot) _filedir; return ;;
    --state-dir) _filedir -d; return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W 'nft text json' -- "$cur"); return ;;
    --for) mapfile -t COMPREPLY < <(compgen -W '10m 1h 1d 1w' -- "$cur"); return ;;
    --reason | --host | --top) return ;;
  esac
  local options='--policy --state-dir --json --quiet --no-color --help'
  case $command in
    '') options+=' --version' ;;
    apply) options+=' --dry-run --boot' ;;
    show) options+=' --format' ;;
    block) options+=' --for --reason --from --force' ;;
    unblock) options+=' --from' ;;
    simulate) options+=' --compare --host --plot --top' ;;
    reset) options+=' --yes' ;;
  esac
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
  elif [[ -z $command ]]; then
    mapfile -t COMPREPLY < <(
      compgen -W 'apply plan check show status block unblock blocks simulate reset' -- "$cur")
  elif [[ $command == check ]]; then
    _filedir toml
  elif [[ $command == simulate ]]; then
    _filedir
  elif [[ $command == unblock ]]; then
    mapfile -t COMPREPLY < <(
      compgen -W "$(cloudron-fw blocks --no-color 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$cur")
    __ltrim_colon_completions "$cur"
  fi
}
complete -F _cloudron_fw cloudron-fw
