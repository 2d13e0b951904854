# One host: its disk, its power switch, and its end.

host_dir() { echo "$STATE/hosts/$1"; }

make_lab() {
  image
  locked "$STATE/lock" make_lab_locked
}

make_lab_locked() {
  mkdir -p "$STATE/hosts"
  [ -s "$STATE/image" ] || image_dir >"$STATE/image"
  make_client_key
  network_up
}

# Cgroups for the processes of a host: the unified hierarchy, and systemd's own one where both are mounted.
cgroup_roots() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo /sys/fs/cgroup; else echo /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; fi
}

cgroup_of() { # the unified one, which can freeze
  local root
  for root in $(cgroup_roots); do :; done
  echo "$root/kopsrun-lab/$LAB/$1"
}

# The process of `lab _boot`, unless it ended. A zombie counts as ended: process 1 of a small machine may reap late.
running() {
  local pid state
  [ -s "$(host_dir "$1")/pid" ] || return 1
  pid=$(cat "$(host_dir "$1")/pid")
  state=$(cat "/proc/$pid/stat" 2>/dev/null) || return 1
  [[ ${state##*) } != Z* ]] && grep -qs "kopsrun-lab/$LAB/$1" "/proc/$pid/cgroup"
}

# Process 1 of the host, seen from outside.
leader() {
  local pid child
  pid=$(cat "$(host_dir "$1")/pid" 2>/dev/null) || return 1
  for child in $(pgrep -P "$pid"); do
    if [ "$(cat "/proc/$child/comm" 2>/dev/null)" = systemd-nspawn ]; then
      pgrep -P "$child" | tail -1
      return
    fi
  done
  return 1
}

make_disk() {
  local host=$1 dir
  dir=$(host_dir "$host")
  [ ! -e "$dir/up" ] || return 0
  mkdir -p "$dir/root"
  if [ -n "${LAB_DISK:-}" ]; then
    mkdir -p "$dir/disk"
    mount -t tmpfs -o "size=$LAB_DISK" lab-disk "$dir/disk"
    mkdir "$dir/disk/up" "$dir/disk/work"
    ln -sfn disk/work "$dir/work"
    ln -sfn disk/up "$dir/up"
  else
    mkdir -p "$dir/work" "$dir/up"
  fi
  mount_disk "$host"
  seed "$host"
}

mount_disk() {
  local dir
  dir=$(host_dir "$1")
  mountpoint -q "$dir/root" ||
    mount -t overlay "lab-$1" -o "lowerdir=$(cat "$STATE/image"),upperdir=$dir/up,workdir=$dir/work" "$dir/root"
}

# What differs from host to host.
seed() {
  local host=$1 root user
  root=$(host_dir "$host")/root
  echo "$host" >"$root/etc/hostname"
  { echo "127.0.0.1 localhost $host"; awk '{print $3, $1}' "$STATE/mirrors"; } >"$root/etc/hosts"
  ssh-keygen -q -t ed25519 -N '' -f "$root/etc/ssh/ssh_host_ed25519_key" -C "$host"
  install -d -m 700 "$root/root/.ssh"
  install -m 600 "$STATE/id.pub" "$root/root/.ssh/authorized_keys"
  for user in ops opspw; do
    install -d -m 700 -o "$(stat -c %u "$root/home/$user")" -g "$(stat -c %g "$root/home/$user")" "$root/home/$user/.ssh"
    install -m 600 -o "$(stat -c %u "$root/home/$user")" -g "$(stat -c %g "$root/home/$user")" "$STATE/id.pub" "$root/home/$user/.ssh/authorized_keys"
  done
  # A machine that replaces another isn't known: what speaks for its key is the one who replaced it.
  [ -e "$(host_dir "$host")/known" ] || remember_key "$host"
}

power_on() {
  local host=$1 dir
  dir=$(host_dir "$host")
  ! running "$host" || return 0
  make_disk "$host"
  mount_disk "$host"
  locked "$STATE/lock" wire "$host"
  # A session of its own: Ctrl-C in the terminal is no power loss.
  setsid "$HERE/lab" _boot "$host" </dev/null >>"$dir/log" 2>&1 9>&- &
  echo $! >"$dir/pid"
  disown
  local i
  for i in $(seq 100); do
    ! running "$host" || return 0
    sleep 0.02
  done
}

# Runs as the host's power supply, in its cgroup: ends when the host is off; a reboot from inside starts it again.
boot() {
  local host=$1 root code dir
  dir=$(host_dir "$host")
  for root in $(cgroup_roots); do
    mkdir -p "$root/kopsrun-lab/$LAB/$host"
    echo $$ >"$root/kopsrun-lab/$LAB/$host/cgroup.procs"
  done
  while :; do
    code=0
    # shellcheck disable=SC2046
    SYSTEMD_NSPAWN_LOCK=0 SYSTEMD_NSPAWN_API_VFS_WRITABLE=network systemd-nspawn --quiet --boot --directory="$dir/root" \
      --machine="$host" --hostname="$host" --register=no --keep-unit --network-namespace-path="/run/netns/$(host_netns "$host")" \
      --resolv-conf=off --timezone=off --link-journal=no --capability=CAP_NET_ADMIN --console=pipe \
      $(cat "$dir/nspawn.args" 2>/dev/null || true) || code=$?
    [ "$code" = 133 ] || exit "$code"
  done
}

# Waits until the host is off, then removes its cgroups.
gone() {
  local i
  for i in $(seq 200); do
    if ! running "$1"; then
      sweep_cgroups "$1"
      rm -f "$(host_dir "$1")/pid"
      return 0
    fi
    sleep 0.05
  done
  return 1
}

# Whatever still runs in the cgroups of a host (or, without a name, of the lab), also after a crash of the lab's own tools.
sweep_cgroups() {
  local root tree pid i
  for root in $(cgroup_roots); do
    tree=$root/kopsrun-lab/$LAB${1:+/$1}
    [ -d "$tree" ] || continue
    [ ! -e "$tree/cgroup.freeze" ] || echo 0 >"$tree/cgroup.freeze"
    for pid in $(find "$tree" -name cgroup.procs -exec cat {} + 2>/dev/null); do
      [ "$pid" = $$ ] || kill -KILL "$pid" 2>/dev/null || true
    done
    for i in 1 2 3 4 5 6 7 8 9 10; do
      find "$tree" -depth -type d -exec rmdir {} + 2>/dev/null || true
      [ -d "$tree" ] || break
      sleep 0.05
    done
  done
}

power_loss() {
  local pid
  running "$1" || { gone "$1"; return 0; }
  thaw "$1"
  if pid=$(leader "$1") && [ -n "$pid" ]; then
    kill -KILL "$pid" 2>/dev/null || true
    ! gone "$1" || return 0
  fi
  sweep_cgroups "$1"
  gone "$1" || die "$1 can't be switched off"
}

power_off() {
  local pid
  running "$1" || return 0
  pid=$(leader "$1") && kill -s RTMIN+4 "$pid" && gone "$1" || power_loss "$1"
}

reboot() {
  local pid
  running "$1" && pid=$(leader "$1") || die "$1 is off"
  kill -s RTMIN+5 "$pid"
}

unmount() {
  ! mountpoint -q "$1" || umount "$1" 2>/dev/null || umount -l "$1"
}

wipe() {
  local dir
  [ -d "$(host_dir "$1")" ] || return 0
  dir=$(host_dir "$1")
  power_loss "$1"
  unmount "$dir/root"
  unmount "$dir/disk"
  rm -rf --one-file-system "$dir/up" "$dir/work" "$dir/disk"
}

remove() {
  wipe "$1"
  unwire "$1"
  rm -rf --one-file-system "$(host_dir "$1")"
}

freeze() { echo 1 >"$(cgroup_of "$1")/cgroup.freeze" || die "$1 is off"; }
thaw() { [ ! -e "$(cgroup_of "$1")/cgroup.freeze" ] || echo 0 >"$(cgroup_of "$1")/cgroup.freeze"; }

wait_ssh() {
  local host=$1 i
  for i in $(seq "${LAB_WAIT:-600}"); do
    # shellcheck disable=SC2016
    ! nsenter --net="/run/netns/$NETNS" timeout 1 bash -c \
      'exec 3<>"/dev/tcp/$0/22"; read -t1 -r line <&3; [[ $line == SSH-* ]]' "$(address "$host")" 2>/dev/null || return 0
    running "$host" || die "$host died: $(tail -3 "$(host_dir "$host")/log")"
    sleep 0.05
  done
  die "$host: SSH doesn't answer; see $(host_dir "$host")/log"
}

enter_shell() {
  [ $# -gt 0 ] || die "usage: lab sh HOST [COMMAND]"
  local host=$1 pid
  shift
  need_known "$host"
  running "$host" && pid=$(leader "$host") || die "$host is off"
  [ $# -gt 0 ] || set -- bash
  exec nsenter -t "$pid" -a "$@"
}

status() {
  local host state
  for host in $(hosts); do
    state=off
    ! running "$host" || state=on
    [ "$state" = off ] || [ "$(cat "$(cgroup_of "$host")/cgroup.freeze" 2>/dev/null)" != 1 ] || state=frozen
    [ "$state" != on ] || ip -n "$NETNS" link show "$(cable "$host")" 2>/dev/null | grep -q 'state UP' || state="on, cable pulled"
    printf '%-12s %-14s %s\n' "$host" "$(address "$host")" "$state"
  done
}

# Hosts nobody has: several may ask at the same time.
fresh() {
  [[ ${1:-} =~ ^[1-9][0-9]*$ ]] || die "usage: lab fresh N"
  make_lab
  locked "$STATE/lock" reserve "$1"
  # shellcheck disable=SC2086
  { each power_on $RESERVED; each wait_ssh $RESERVED; }
  echo "$RESERVED"
}

reserve() {
  local i
  RESERVED=
  for ((i = 1; i <= 240 && $(wc -w <<<"$RESERVED") < $1; i++)); do
    ! mkdir "$STATE/hosts/h$i" 2>/dev/null || RESERVED="${RESERVED:+$RESERVED }h$i"
  done
  [ "$(wc -w <<<"$RESERVED")" = "$1" ] || die "lab $LAB has no $1 free hosts"
}

# Removes the lab, also one that was left half-made.
down() {
  local host mount ns
  for host in $(hosts); do remove "$host"; done
  sweep_cgroups
  # Mounts and networks of hosts whose directories are gone.
  for mount in $(awk -v under="$STATE/" 'index($2, under) == 1 {print $2}' /proc/mounts | sort -r); do umount -l "$mount"; done
  for ns in /run/netns/"$NETNS".*; do
    [ ! -e "$ns" ] || ip netns del "$(basename "$ns")"
  done
  network_down
  rm -rf --one-file-system "$STATE"
}

down_all() { # those whose names begin with $1
  local dir
  for dir in "$LABS/$1"*/; do
    [ ! -d "$dir" ] || LAB=$(basename "$dir") "$HERE/lab" down
  done
}
