# The network of a lab: a namespace with a bridge, a cable per host, and ways to Debian's mirrors.

# "NAME PORT ADDRESS" of each mirror: hosts find it under an address of the bridge.
mirrors() {
  debian_sources | awk -v net="$NET" '{
    split($1, part, "/"); name = part[3]; port = part[1] == "https:" ? 443 : 80
    if (split(name, pair, ":") == 2) { name = pair[1]; port = pair[2] }
    if (!(name in seen)) { seen[name] = 1; count++; if (count < 10) print name, port, net "." count } }'
}

network_up() {
  [ ! -e "$STATE/network.ready" ] || [ ! -e "/run/netns/$NETNS" ] || return 0
  network_down
  mkdir -p "$STATE"
  mirrors >"$STATE/mirrors"
  ip netns add "$NETNS"
  ip -n "$NETNS" link set lo up
  ip -n "$NETNS" link add br0 type bridge
  ip -n "$NETNS" addr add "$NET.1/24" dev br0
  ip -n "$NETNS" link set br0 up
  local name port at
  while read -r name port at; do
    [ "$at" = "$NET.1" ] || ip -n "$NETNS" addr add "$at/24" dev br0
    forward "$name" "$port" "$at"
  done <"$STATE/mirrors"
  touch "$STATE/network.ready"
}

# A byte pipe between the lab's network and the machine's, across a unix socket.
forward() {
  local name=$1 port=$2 at=$3 socket=$STATE/mirror-$3.sock
  setsid socat "UNIX-LISTEN:$socket,fork,unlink-early" "TCP:$name:$port" </dev/null >/dev/null 2>&1 9>&- &
  echo $! >>"$STATE/forwarders"
  setsid nsenter --net="/run/netns/$NETNS" socat "TCP-LISTEN:$port,bind=$at,fork,reuseaddr" "UNIX-CONNECT:$socket" \
    </dev/null >/dev/null 2>&1 9>&- &
  echo $! >>"$STATE/forwarders"
  disown -a
}

network_down() {
  local pid
  if [ -s "$STATE/forwarders" ]; then
    while read -r pid; do
      # Only if the number still is that of a forwarder.
      [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != socat ] || kill "$pid" 2>/dev/null || true
    done <"$STATE/forwarders"
  fi
  rm -f "$STATE/forwarders" "$STATE/network.ready"
  [ ! -e "/run/netns/$NETNS" ] || ip netns del "$NETNS"
}

host_netns() { echo "$NETNS.$1"; }
cable() { echo "v$(number "$1")"; }

wire() {
  local host=$1 ns
  ns=$(host_netns "$host")
  [ ! -e "/run/netns/$ns" ] || return 0
  ip netns add "$ns"
  ip -n "$ns" link set lo up
  ip link add "$(cable "$host")" netns "$NETNS" type veth peer name eth0 netns "$ns" ||
    die "no cable for $host: does another host have its number? ($(hosts | tr '\n' ' '))"
  ip -n "$NETNS" link set "$(cable "$host")" master br0 up
  ip -n "$ns" addr add "$(address "$host")/24" dev eth0
  ip -n "$ns" link set eth0 up
  ip -n "$ns" route add default via "$NET.1"
}

unwire() {
  local ns
  ns=$(host_netns "$1")
  [ ! -e "/run/netns/$ns" ] || ip netns del "$ns"
  ip -n "$NETNS" link del "$(cable "$1")" 2>/dev/null || true
}

cut_cable() { ip -n "$NETNS" link set "$(cable "$1")" down; }
plug_cable() { ip -n "$NETNS" link set "$(cable "$1")" up; }

filter() { nsenter --net="/run/netns/$NETNS" nft "$@"; }

part() {
  filter add table bridge lab
  filter 'add chain bridge lab between { type filter hook forward priority 0; }'
  filter add rule bridge lab between iifname "$(cable "$1")" oifname "$(cable "$2")" drop
  filter add rule bridge lab between iifname "$(cable "$2")" oifname "$(cable "$1")" drop
}

unpart() { filter delete table bridge lab 2>/dev/null || true; }

# Not `ip netns exec`: it mounts another /sys, in which the cgroups are hidden.
enter_network() {
  [ $# -gt 0 ] || die "usage: lab in COMMAND..."
  [ -e "/run/netns/$NETNS" ] || die "lab $LAB isn't up; lab up HOST... first"
  exec nsenter --net="/run/netns/$NETNS" env PATH="$(kopsrun_path)" "$@"
}

# PATH with the kopsrun that was built last in front.
kopsrun_path() {
  local built
  built=$(ls -t "$ROOT"/target/{release,debug}/kopsrun 2>/dev/null | head -1 || true)
  echo "${built:+$(dirname "$built"):}$PATH"
}
