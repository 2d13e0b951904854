#!/bin/sh
# Writes expected/NAME.txt by running cases/NAME.yml with the ansible-playbook that is named first.
set -eu
cd "$(dirname "$0")"
ansible=$1; shift
[ $# -gt 0 ] || set -- $(ls cases/*.yml | sed 's,cases/\(.*\)\.yml,\1,')
for name; do
  options=$(sed -n 's/^# options: //p' "cases/$name.yml")
  out=$PWD/expected/$name.txt
  code=0
  # shellcheck disable=SC2086
  ANSIBLE_CALLBACK_PLUGINS=$PWD ANSIBLE_STDOUT_CALLBACK=record ANSIBLE_RETRY_FILES_ENABLED=0 \
    ANSIBLE_DEPRECATION_WARNINGS=0 ANSIBLE_LOCALHOST_WARNING=0 RECORD_TO=$out ANSIBLE_FORKS=1 \
    "$ansible" -i inventory.ini $options "cases/$name.yml" >/tmp/record.log 2>&1 || code=$?
  echo "EXIT $code" >>"$out"
done
