# Keys of SSH: the lab's own one, and what the hosts' ones were when they were first made.

make_client_key() {
  [ -e "$STATE/id" ] || ssh-keygen -q -t ed25519 -N '' -f "$STATE/id" -C "lab $LAB"
}

# Written once for a host. `lab replace` leaves it: the new machine's key is unknown, as in life.
remember_key() {
  local host=$1 line
  line="$(address "$host") $(cut -d' ' -f1,2 "$(host_dir "$host")/root/etc/ssh/ssh_host_ed25519_key.pub")"
  echo "$line" >"$(host_dir "$host")/known"
  locked "$STATE/lock" remember_line "$line"
}

remember_line() {
  local file=$STATE/known_hosts
  { grep -vs "^${1%% *} " "$file" || true; echo "$1"; } >"$file.new"
  mv "$file.new" "$file"
}

known_hosts() {
  local host
  [ $# -gt 0 ] || set -- $(hosts)
  need_known "$@"
  for host; do cat "$(host_dir "$host")/known"; done
}

# The lab's own SSH doesn't check keys: it made the machines itself, and nobody else is in their network.
enter_ssh() {
  [ $# -gt 0 ] || die "usage: lab ssh HOST [COMMAND]"
  local host=$1
  shift
  need_known "$host"
  exec nsenter --net="/run/netns/$NETNS" ssh -F none -i "$STATE/id" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o LogLevel=ERROR -o ConnectTimeout=5 -o BatchMode=yes "root@$(address "$host")" "$@"
}
