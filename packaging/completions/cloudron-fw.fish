# fish completion of cloudron-fw

set -l commands apply plan check show status block unblock blocks simulate reset
complete -c cloudron-fw -f
complete -c cloudron-fw -l policy -r -F -d 'Policy file'
complete -c cloudron-fw -l state-dir -r -a '(__fish_complete_directories)' -d 'Folder of the state'
complete -c cloudron-fw -l json -d 'Print JSON'
complete -c cloudron-fw -s q -l quiet -d 'Print errors only'
complete -c cloudron-fw -l no-color -d 'No colours'
complete -c cloudron-fw -s h -l help -d 'Print help'

set -l none "not __fish_seen_subcommand_from $commands"
complete -c cloudron-fw -n $none -l version -d 'Print the version'
complete -c cloudron-fw -n $none -a apply -d 'Make the kernel hold the policy'
complete -c cloudron-fw -n $none -a plan -d 'Show what apply would change'
complete -c cloudron-fw -n $none -a check -d 'Report every problem of a policy'
complete -c cloudron-fw -n $none -a show -d 'Print what the policy compiles to'
complete -c cloudron-fw -n $none -a status -d 'What is open, counted, refused and blocked'
complete -c cloudron-fw -n $none -a block -d 'Block addresses'
complete -c cloudron-fw -n $none -a unblock -d 'Lift blocks'
complete -c cloudron-fw -n $none -a blocks -d 'List blocks'
complete -c cloudron-fw -n $none -a simulate -d 'What the policy would have refused'
complete -c cloudron-fw -n $none -a reset -d 'Remove the table from the kernel'

set -l in __fish_seen_subcommand_from
complete -c cloudron-fw -n "$in apply" -l dry-run -d 'Only print what would change'
complete -c cloudron-fw -n "$in apply" -l boot -d 'At boot'
complete -c cloudron-fw -n "$in check" -F
complete -c cloudron-fw -n "$in show" -l format -x -a 'nft text json' -d 'Form'
complete -c cloudron-fw -n "$in block" -l for -x -a '10m 1h 1d 1w' -d 'How long'
complete -c cloudron-fw -n "$in block" -l reason -x -d 'Why'
complete -c cloudron-fw -n "$in block" -l force -d 'Block what is refused without it'
complete -c cloudron-fw -n "$in block unblock" -l from -r -F -d 'Read addresses from a file'
complete -c cloudron-fw -n "$in simulate" -F
complete -c cloudron-fw -n "$in simulate" -l compare -r -F -d 'Another policy'
complete -c cloudron-fw -n "$in simulate" -l host -x -d 'Address of the host'
complete -c cloudron-fw -n "$in simulate" -l plot -r -F -d 'Write an SVG'
complete -c cloudron-fw -n "$in simulate" -l top -x -d 'Clients and ports to show'
complete -c cloudron-fw -n "$in reset" -s y -l yes -d 'Do not ask'
